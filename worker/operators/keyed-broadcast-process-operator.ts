/**
 * The process operator of a keyed stream beside a broadcast one: the keyed side is a process operator,
 * whose callbacks also see the broadcast state (journey of a record: operator chain -> keyed state,
 * broadcast state). Only the broadcast side may change that.
 */
import type { BroadcastSide } from './broadcast-side.js';
import type { OperatorSnapshot, StreamOperator } from './operator.js';
import type { ProcessOperator } from './process-operator.js';

export class KeyedBroadcastProcessOperator implements StreamOperator {
  readonly name: string;
  readonly #keyed: ProcessOperator;
  readonly #broadcast: BroadcastSide;

  constructor(keyed: ProcessOperator, broadcast: BroadcastSide) {
    this.name = keyed.name;
    this.#keyed = keyed;
    this.#broadcast = broadcast;
  }

  open(): Promise<void> {
    return this.#keyed.open();
  }

  prefetch(values: readonly unknown[], timestamps: ArrayLike<number>, count: number): void {
    this.#keyed.prefetch(values, timestamps, count);
  }

  processElement(value: unknown, timestamp: number): void {
    this.#keyed.processElement(value, timestamp);
  }

  processBroadcastElement(value: unknown, timestamp: number): void {
    this.#broadcast.processElement(value, timestamp);
  }

  processWatermark(timestamp: number): void {
    this.#broadcast.watermark = timestamp;
    this.#keyed.processWatermark(timestamp);
  }

  proceed(): boolean {
    return this.#keyed.proceed();
  }

  processWatermarkStatus(idle: boolean): void {
    this.#keyed.processWatermarkStatus(idle);
  }

  suspended(): Promise<void> | undefined {
    return this.#keyed.suspended();
  }

  drain(): Promise<void> | undefined {
    return this.#keyed.drain();
  }

  canSnapshot(): boolean {
    return this.#keyed.canSnapshot();
  }

  snapshot(checkpointId: number): OperatorSnapshot {
    return { ...this.#keyed.snapshot(checkpointId), ...this.#broadcast.snapshot() };
  }

  notifyCheckpointComplete(checkpointId: number): Promise<void> {
    return this.#keyed.notifyCheckpointComplete(checkpointId);
  }

  advanceProcessingTime(now: number): number | undefined {
    return this.#keyed.advanceProcessingTime(now);
  }

  close(): Promise<void> {
    return this.#keyed.close();
  }
}
