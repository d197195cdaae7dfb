/**
 * Writes transactions to a topic at a steady rate, each at the time when it is due, from this process: what the
 * measured job reads. A producer that is late shows, since records carry when they were due.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { json } from '../connectors/formats/index.js';
import { kafkaSink } from '../connectors/kafka/index.js';
import { systemClock } from '../process/system-clock.js';
import { subtask, type BenchBroker } from './bench-broker.js';
import { machineMs } from './jobs/tally-sink.js';
import { TimedTransaction, timedTransactionsOf } from './jobs/timed-transaction.js';

const TURN_MS = 1;
/** As Kafka's own producer since 4.0. */
const LINGER_MS = 5;

/** Resolves when so many records were written. */
export async function producePaced(
  broker: BenchBroker,
  topic: string,
  options: {
    readonly partitions: number;
    readonly ratePerSecond: number;
    readonly records: number;
  },
): Promise<void> {
  const { partitions, ratePerSecond, records } = options;
  let index = 0;
  const sink = kafkaSink({
    connection: { brokers: [broker.address] },
    topic,
    value: json(TimedTransaction),
    partitioner: () => index % partitions,
    delivery: 'atLeastOnce',
    lingerMs: LINGER_MS,
  });
  const writer = await sink.createWriter(subtask('produce'));
  const timedTransaction = timedTransactionsOf();
  try {
    const originMs = machineMs();
    const dueMsOf = (at: number): number => originMs + (at * 1000) / ratePerSecond;
    while (index < records) {
      const nowMs = machineMs();
      const timestamp = systemClock.now();
      for (; index < records && dueMsOf(index) <= nowMs; index++) {
        writer.write(timedTransaction(index, dueMsOf(index)), timestamp);
      }
      await writer.whenWritable();
      await delay(TURN_MS);
    }
    await writer.prepareCommit(1);
  } finally {
    await writer.close();
  }
}
