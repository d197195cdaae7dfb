/** The public door of the job SDK: `import { job, t } from 'millrace'`. */
export { t, type Infer, type Schema } from './schema.js';
export { job, isJob, type Job, type BuiltJob } from './job.js';
export type { JobOptions } from './job-options.js';
export { param, type Param, type Params, type ParamValues } from './params.js';
export type { OperatorOptions } from './declarations.js';
export { StreamEnvironment, SourceStream } from './environment.js';
export { BroadcastStream } from './broadcast-stream.js';
export {
  Stream,
  KeyedStream,
  WindowedStream,
  BroadcastConnectedStream,
  KeyedBroadcastConnectedStream,
  type OutputOptions,
  type ScoreOptions,
  type StreamWithSideOutputs,
} from './stream.js';
export {
  valueState,
  listState,
  mapState,
  reducingState,
  aggregatingState,
  type ValueState,
  type ListState,
  type MapState,
  type ReducingState,
  type AggregatingState,
  type BroadcastState,
  type BroadcastStates,
  type ReadOnlyBroadcastState,
  type StateDescriptor,
  type StateHandles,
} from './state.js';
export { tumblingWindows, type TumblingWindows } from './windows.js';
export { boundedOutOfOrderness, type WatermarkStrategy } from './watermarks.js';
export type {
  BroadcastContext,
  BroadcastProcessFunction,
  KeyedBroadcastProcessFunction,
  KeyedReadOnlyContext,
  KeyedReadOnlyTimerContext,
  ReadOnlyContext,
} from './broadcast-functions.js';
export type {
  AggregateFunction,
  ProcessContext,
  ProcessFunction,
  ScoreFunction,
  SideOutputs,
  TimerContext,
  TimerService,
  TimeWindow,
} from './functions.js';
export type {
  CheckContext,
  DeadLetter,
  JobSettings,
  PollResult,
  Source,
  SourceContext,
  SourceOutput,
  SourceReader,
  SourceSplit,
} from './source.js';
export {
  unregisteredMetrics,
  type Counter,
  type Gauge,
  type Histogram,
  type MetricGroup,
} from './metrics.js';
export type { Key } from '../core/key-codec.js';
export type { Committer, Sink, SinkContext, SinkWriter } from './sink.js';
export { deadLetterSchema } from './dead-letter.js';
export { MillraceError, isMillraceError, type ErrorCode } from '../core/errors.js';
