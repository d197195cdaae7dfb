/**
 * What an operator does where it has nothing of its own to do: it takes records at once, holds none
 * back, fires nothing by the clock and keeps no state (journey of a record: operator chain). Operators
 * override what is different for them; it must never know any of them.
 */
import type { OperatorSnapshot, StreamOperator } from './operator.js';

export abstract class AbstractStreamOperator implements StreamOperator {
  constructor(readonly name: string) {}

  abstract processWatermark(timestamp: number): void;

  abstract processWatermarkStatus(idle: boolean): void;

  open(): Promise<void> {
    return Promise.resolve();
  }

  proceed(): boolean {
    return false;
  }

  suspended(): Promise<void> | undefined {
    return undefined;
  }

  drain(): Promise<void> | undefined {
    return undefined;
  }

  canSnapshot(): boolean {
    return true;
  }

  snapshot(_checkpointId: number): OperatorSnapshot {
    return {};
  }

  notifyCheckpointComplete(_checkpointId: number): Promise<void> {
    return Promise.resolve();
  }

  advanceProcessingTime(_now: number): number | undefined {
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
