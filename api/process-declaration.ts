/**
 * Declares an operator that runs a job author's callbacks: its states, outputs and side outputs as
 * plain data for the graph. Job authors never see this; they use streams.
 */
import { MillraceError } from '../core/errors.js';
import type { Schema } from '../core/schema.js';
import { schemaToJson } from '../core/schema-json.js';
import { MAIN_OUTPUT, type StateDeclaration, type StateKind } from '../core/stream-graph.js';
import type { Declarations, OperatorOptions, StreamOrigin } from './declarations.js';
import type { SideOutputs } from './functions.js';
import type { BroadcastStates, StateDescriptor } from './state.js';
import type { OperatorFunctions } from './transformation.js';

export interface ProcessDeclaration {
  readonly name: string;
  readonly inputs: readonly StreamOrigin[];
  readonly functions: OperatorFunctions;
  readonly process: {
    readonly state?: Readonly<Record<string, StateDescriptor>>;
    readonly output: Schema<unknown>;
    readonly sideOutputs?: SideOutputs;
  };
  readonly broadcastStates?: BroadcastStates;
  readonly options: OperatorOptions;
}

/** @throws MillraceError JOB_INVALID for a side output of the main output's name */
export function declareProcess(declarations: Declarations, declaration: ProcessDeclaration): void {
  const { name, inputs, functions, process, broadcastStates = {}, options } = declaration;
  const sides = Object.entries(process.sideOutputs ?? {});
  if (sides.some(([side]) => side === MAIN_OUTPUT)) {
    throw new MillraceError(
      'JOB_INVALID',
      `operator "${name}" names a side output "${MAIN_OUTPUT}"; rename it`,
    );
  }
  declarations.declare({
    name,
    inputs,
    functions,
    outputs: new Map<string, Schema<unknown>>([[MAIN_OUTPUT, process.output], ...sides]),
    states: [
      ...Object.entries(process.state ?? {}).map((state) => declared(...state)),
      ...Object.entries(broadcastStates).map((state) => declared(...state, 'broadcast')),
    ],
    options,
  });
}

function declared(
  name: string,
  { kind, schema, ttlMs }: StateDescriptor,
  as: StateKind = kind,
): StateDeclaration {
  const ttl = ttlMs === undefined ? {} : { ttlMs };
  return { name, kind: as, schema: schemaToJson(schema), ...ttl };
}
