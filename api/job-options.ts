/**
 * The options of a job, and whether they are what they may be: whoever bundles a job does not check its types. How
 * large a number may be is the graph's to say.
 */
import {
  checkOptions,
  fitting,
  group,
  isRecord,
  oneOf,
  optional,
  wholeNumber,
  wrong,
  type OptionRule,
  type OptionRules,
} from '../core/option-check.js';
import {
  STATE_BACKENDS,
  type CheckpointConfig,
  type RestartStrategyConfig,
  type StateConfig,
} from '../core/stream-graph.js';
import type { Params } from './params.js';

export interface JobOptions<P extends Params> {
  readonly params?: P;
  /** Subtasks of each operator that does not fix its own; the free slots of the cluster unless told. */
  readonly parallelism?: number;
  /** Number of key groups, and so the greatest parallelism ever; fixed for the job's life. 128 unless told. */
  readonly maxParallelism?: number;
  readonly checkpoint?: Partial<CheckpointConfig>;
  readonly restart?: RestartStrategyConfig;
  /** Where keyed state lives, and in how much memory of each slot; on the heap unless told. */
  readonly state?: Partial<StateConfig>;
  /** Longest that a record waits for its chunk to fill while the receiver is busy; ms. 10 unless told. */
  readonly bufferTimeoutMs?: number;
  /** How often sources emit watermarks; ms. 100 unless told. */
  readonly watermarkIntervalMs?: number;
}

type RestartKind = RestartStrategyConfig['kind'];
type Restart<K extends RestartKind> = Extract<RestartStrategyConfig, { readonly kind: K }>;

const count = wholeNumber(0);
const ms = fitting(
  'a number of ms, 0 or more',
  (value) => Number.isFinite(value) && Number(value) >= 0,
);
const given: OptionRule = () => undefined;

const RESTARTS: Readonly<Record<RestartKind, OptionRule>> = {
  none: group<Restart<'none'>>({ kind: given }),
  fixedDelay: group<Restart<'fixedDelay'>>({ kind: given, attempts: count, delayMs: count }),
  failureRate: group<Restart<'failureRate'>>({
    kind: given,
    failuresMax: count,
    intervalMs: count,
    delayMs: count,
  }),
  exponentialDelay: group<Restart<'exponentialDelay'>>({
    kind: given,
    initialMs: count,
    multiplier: fitting('a number from 1', (value) => Number.isFinite(value) && Number(value) >= 1),
    maxMs: count,
    resetAfterMs: count,
    attempts: optional(count),
  }),
};

const checkKind = oneOf(Object.keys(RESTARTS));

const RULES: OptionRules<JobOptions<Params>> = {
  params: optional(fitting('{ name: param.string({ ... }) }', isRecord)),
  parallelism: optional(wholeNumber(1)),
  maxParallelism: optional(wholeNumber(1)),
  checkpoint: optional(
    group<CheckpointConfig>({
      intervalMs: optional(count),
      timeoutMs: optional(count),
      retained: optional(wholeNumber(1)),
      minPauseMs: optional(count),
      tolerableFailures: optional(count),
      alignmentTimeoutMs: (name, value) => {
        if (value !== null) optional(count)(name, value);
      },
      onCancel: optional(oneOf(['retain', 'delete'])),
    }),
  ),
  restart: optional(checkRestart),
  state: optional(
    group<StateConfig>({
      backend: optional(oneOf(STATE_BACKENDS)),
      memoryBytesMax: optional(wholeNumber(1)),
    }),
  ),
  bufferTimeoutMs: optional(ms),
  watermarkIntervalMs: optional(ms),
};

/** @throws MillraceError PARAM_INVALID naming the option and what it may be */
export function checkJobOptions(jobName: string, options: JobOptions<Params>): void {
  checkOptions(`job "${jobName}"`, options, RULES);
}

function checkRestart(name: string, value: unknown): void {
  if (!isRecord(value)) throw wrong(name, String(value), '{ kind, ... }');
  checkKind(`${name}.kind`, value['kind']);
  RESTARTS[value['kind'] as RestartKind](name, value);
}
