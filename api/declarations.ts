/**
 * Collects what a job's builder declares: every stream of a job writes into one of these. It checks
 * names as they come, because only then is the line that declared them known. Job authors never see it.
 */
import { MillraceError } from '../core/errors.js';
import type { Schema } from '../core/schema.js';
import { schemaToJson } from '../core/schema-json.js';
import { isValidName, NAME_RULE, type StreamEdge, type StreamNode } from '../core/stream-graph.js';
import { declarationSite } from './declaration-site.js';
import type { KeySelector, OperatorFunctions, Transformation } from './transformation.js';

export interface OperatorOptions {
  /** Overrides the job's parallelism for this operator. */
  readonly parallelism?: number;
  /** False starts a new chain (a task of its own) at this operator. */
  readonly chainable?: boolean;
}

/** Where a stream comes from, for the edge that reads it. */
export interface StreamOrigin {
  readonly edge: StreamEdge;
  readonly key: KeySelector | undefined;
}

export interface Declaration {
  readonly name: string;
  readonly inputs: readonly StreamOrigin[];
  readonly functions: OperatorFunctions;
  readonly outputs: ReadonlyMap<string, Schema<unknown> | undefined>;
  readonly states?: StreamNode['states'];
  readonly options?: OperatorOptions;
  readonly module?: string;
  readonly connector?: string;
  readonly connectorInfo?: string | undefined;
  readonly exclusiveOutputs?: readonly string[] | undefined;
}

/** The origin of an operator's output, before any partitioning. */
export function originOf(operator: string, output: string): StreamOrigin {
  return { edge: { from: operator, output, partitioning: 'forward' }, key: undefined };
}

export class Declarations {
  readonly #transformations = new Map<string, Transformation>();

  /** Everything declared so far, in declaration order. */
  get transformations(): readonly Transformation[] {
    return [...this.#transformations.values()];
  }

  /** The schema of an operator's output; undefined where records travel without one. */
  schemaOf(operator: string, output: string): Schema<unknown> | undefined {
    return this.#transformations.get(operator)?.outputSchemas.get(output);
  }

  /**
   * @throws MillraceError OPERATOR_NAME_DUPLICATE or OPERATOR_NAME_INVALID showing the lines
   */
  declare(declaration: Declaration): void {
    const { name } = declaration;
    const declaredAt = declarationSite();
    if (!isValidName(name)) {
      throw new MillraceError(
        'OPERATOR_NAME_INVALID',
        `operator name ${JSON.stringify(name)} at ${declaredAt}: ${NAME_RULE}; ` +
          'every operator takes its name as the first argument',
      );
    }
    const earlier = this.#transformations.get(name);
    if (earlier !== undefined) {
      throw new MillraceError(
        'OPERATOR_NAME_DUPLICATE',
        `two operators are named "${name}": at ${earlier.node.declaredAt} and at ${declaredAt}; ` +
          'rename one, since state is found by name',
      );
    }
    const { options = {} } = declaration;
    this.#transformations.set(name, {
      node: {
        name,
        kind: declaration.functions.kind,
        ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }),
        chainable: options.chainable ?? true,
        inputs: declaration.inputs.map((input) => input.edge),
        outputs: Object.fromEntries(
          [...declaration.outputs].map(([output, schema]) => [
            output,
            schema === undefined ? null : schemaToJson(schema),
          ]),
        ),
        states: declaration.states ?? [],
        ...(declaration.module === undefined ? {} : { module: declaration.module }),
        ...(declaration.connector === undefined ? {} : { connector: declaration.connector }),
        ...(declaration.connectorInfo === undefined
          ? {}
          : { connectorInfo: declaration.connectorInfo }),
        ...(declaration.exclusiveOutputs === undefined
          ? {}
          : { exclusiveOutputs: declaration.exclusiveOutputs }),
        declaredAt,
      },
      functions: declaration.functions,
      keySelectors: declaration.inputs.map((input) => input.key),
      outputSchemas: declaration.outputs,
    });
  }
}
