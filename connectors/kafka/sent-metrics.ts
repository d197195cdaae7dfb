/** What a Kafka sink says of the batches that brokers have: counted by the batch, never by the record. */
import type { Counter, MetricGroup } from '../../api/metrics.js';
import { recordCountOf } from './record-batch-header.js';

export class SentMetrics {
  readonly #records: Counter;
  readonly #bytes: Counter;

  constructor(metrics: MetricGroup) {
    this.#records = metrics.counter('records_sent');
    this.#bytes = metrics.counter('bytes_sent');
  }

  add(batches: readonly { readonly batch: Uint8Array }[]): void {
    for (const { batch } of batches) {
      this.#records.inc(recordCountOf(batch));
      this.#bytes.inc(batch.length);
    }
  }
}
