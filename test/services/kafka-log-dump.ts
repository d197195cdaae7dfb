/**
 * What Kafka's own tool says of the batches in a broker's files: whether they are sound, and whose
 * they are. The tool of 3.9 looks at the files of every version: 4 was published without it.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { KafkaService } from './kafka.js';
import { runKafkaTool } from './kafka-installation.js';

export interface DumpedBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly count: number;
  /** -1: written without a producer's identity; so are the next two */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  readonly compression: string;
  readonly sizeBytes: number;
  /** Its CRC agrees with what it holds. */
  readonly isValid: boolean;
  /** Records found by going through it, not as its head counts them. */
  readonly records: number;
}

/** Every batch of a partition on one broker, in their order. */
export async function dumpLog(
  kafka: KafkaService,
  topic: string,
  partition = 0,
  broker = 0,
): Promise<readonly DumpedBatch[]> {
  const dumped = await dumpLogs(kafka, [{ topic, partition }], broker);
  return [...dumped.values()].flat();
}

/** The same of several partitions, by `TOPIC-PARTITION`; takes not much longer than one. */
export async function dumpLogs(
  kafka: KafkaService,
  partitions: readonly { readonly topic: string; readonly partition: number }[],
  broker = 0,
): Promise<ReadonlyMap<string, readonly DumpedBatch[]>> {
  const folders = partitions.map(({ topic, partition }) => `${topic}-${partition}`);
  const files = await Promise.all(
    folders.map(async (name) => {
      const folder = join(kafka.dataFolder(broker), name);
      const logs = (await readdir(folder)).filter((file) => file.endsWith('.log')).sort();
      return logs.map((file) => join(folder, file));
    }),
  );
  const tool = ['kafka.tools.DumpLogSegments', '--deep-iteration', '--files', files.flat().join()];
  const dumped = new Map<string, DumpedBatch[]>(folders.map((name) => [name, []]));
  let batches: DumpedBatch[] = [];
  for (const line of (await runKafkaTool('3.9', tool)).split('\n')) {
    const last = batches.at(-1);
    if (line.startsWith('Dumping ')) batches = dumped.get(basename(dirname(line))) ?? [];
    else if (line.startsWith('baseOffset:')) batches.push(batchOf(line));
    else if (line.startsWith('| offset:') && last !== undefined) {
      batches[batches.length - 1] = { ...last, records: last.records + 1 };
    }
  }
  return dumped;
}

/** A line is `NAME: VALUE NAME: VALUE ...`. */
function batchOf(line: string): DumpedBatch {
  const fields = new Map(
    [...line.matchAll(/(\w+): (\S+)/g)].map(([, name = '', value = '']) => [name, value]),
  );
  const numberOf = (name: string): number => Number(fields.get(name));
  return {
    baseOffset: numberOf('baseOffset'),
    lastOffset: numberOf('lastOffset'),
    count: numberOf('count'),
    producerId: numberOf('producerId'),
    producerEpoch: numberOf('producerEpoch'),
    baseSequence: numberOf('baseSequence'),
    isTransactional: fields.get('isTransactional') === 'true',
    isControl: fields.get('isControl') === 'true',
    compression: fields.get('compresscodec') ?? '',
    sizeBytes: numberOf('size'),
    isValid: fields.get('isvalid') === 'true',
    records: 0,
  };
}
