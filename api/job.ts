/**
 * A job: a name, its options and parameters, and the builder that declares its streams. The builder
 * runs once where the graph is made and once in every slot, and must declare the same operators each
 * time; it must not read the clock, the network or the environment.
 */
import { MillraceError, isMillraceError } from '../core/errors.js';
import { MAX_PARALLELISM_DEFAULT } from '../core/key-group.js';
import {
  validateStreamGraph,
  type CheckpointConfig,
  type RestartStrategyConfig,
  type StateConfig,
  type StreamGraph,
} from '../core/stream-graph.js';
import { checkJobOptions, type JobOptions } from './job-options.js';
import { Declarations } from './declarations.js';
import { StreamEnvironment } from './environment.js';
import { parseParams, type Params, type ParamValues } from './params.js';
import type { Transformation } from './transformation.js';

const JOB_BRAND = Symbol.for('millrace.job');

export const DEFAULT_CHECKPOINT: CheckpointConfig = {
  intervalMs: 10_000,
  timeoutMs: 600_000,
  retained: 1,
  minPauseMs: 0,
  tolerableFailures: 3,
  alignmentTimeoutMs: 10_000,
};

export const DEFAULT_RESTART: RestartStrategyConfig = {
  kind: 'exponentialDelay',
  initialMs: 100,
  multiplier: 1.5,
  maxMs: 60_000,
  resetAfterMs: 3_600_000,
};

/** With two slots, the default of a worker, a container of 1 GiB holds this and all the rest. */
export const DEFAULT_STATE: StateConfig = {
  backend: 'memory',
  memoryBytesMax: 256 * 1024 * 1024,
};

/** A job as its file's default export. */
export interface Job {
  readonly name: string;
  readonly params: Params;
  /** Runs the builder. */
  build(given: Readonly<Record<string, string>>): BuiltJob;
}

export interface BuiltJob {
  readonly graph: StreamGraph;
  readonly transformations: ReadonlyMap<string, Transformation>;
}

/**
 * Declares a job; a job file exports it as default.
 * @param build declares sources, operators and sinks; gets the parsed parameters
 */
export function job<P extends Params = Record<never, never>>(
  name: string,
  options: JobOptions<P>,
  build: (environment: StreamEnvironment, params: ParamValues<P>) => void,
): Job {
  const params: Params = options.params ?? {};
  const definition: Job = {
    name,
    params,
    build: (given) => {
      const declarations = new Declarations();
      const values = parseParams(params, given) as ParamValues<P>;
      try {
        build(new StreamEnvironment(declarations), values);
      } catch (error) {
        if (isMillraceError(error)) throw error;
        throw new MillraceError(
          'USER_CODE_FAILED',
          `the builder of job "${name}" threw: ${error instanceof Error ? error.message : String(error)}; ` +
            'correct it where the stack points, and try again',
          { cause: error },
        );
      }
      const { transformations } = declarations;
      const graph: StreamGraph = {
        jobName: name,
        ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }),
        maxParallelism: options.maxParallelism ?? MAX_PARALLELISM_DEFAULT,
        checkpoint: { ...DEFAULT_CHECKPOINT, ...options.checkpoint },
        restart: options.restart ?? DEFAULT_RESTART,
        state: { ...DEFAULT_STATE, ...options.state },
        bufferTimeoutMs: options.bufferTimeoutMs ?? 10,
        watermarkIntervalMs: options.watermarkIntervalMs ?? 100,
        nodes: transformations.map((transformation) => transformation.node),
      };
      validateStreamGraph(graph);
      checkJobOptions(name, options);
      return {
        graph,
        transformations: new Map(transformations.map((one) => [one.node.name, one])),
      };
    },
  };
  Object.defineProperty(definition, JOB_BRAND, { value: true });
  return definition;
}

/** Recognises a job made by any copy of this module. */
export function isJob(value: unknown): value is Job {
  return typeof value === 'object' && value !== null && JOB_BRAND in value;
}
