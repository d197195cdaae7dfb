/** An operator output that writes down, in order, everything that comes out. */
import type { OperatorOutput } from '../../../worker/operators/operator.js';

export type Emission =
  | { readonly kind: 'record'; readonly value: unknown; readonly timestamp: number }
  | {
      readonly kind: 'side';
      readonly output: string;
      readonly value: unknown;
      readonly timestamp: number;
    }
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'status'; readonly idle: boolean };

export class RecordedOutput implements OperatorOutput {
  #emissions: Emission[] = [];

  collect(value: unknown, timestamp: number): void {
    this.#emissions.push({ kind: 'record', value, timestamp });
  }

  sideOutput(output: string, value: unknown, timestamp: number): void {
    this.#emissions.push({ kind: 'side', output, value, timestamp });
  }

  emitWatermark(timestamp: number): void {
    this.#emissions.push({ kind: 'watermark', timestamp });
  }

  emitWatermarkStatus(idle: boolean): void {
    this.#emissions.push({ kind: 'status', idle });
  }

  /** What came out since the last call. */
  take(): Emission[] {
    const taken = this.#emissions;
    this.#emissions = [];
    return taken;
  }

  takeValues(): unknown[] {
    return this.take().flatMap((one) => (one.kind === 'record' ? [one.value] : []));
  }
}
