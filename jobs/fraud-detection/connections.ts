/** Where the job reads and writes: files, or topics of Kafka. Its operators know nothing of it. */
import { MillraceError, type Schema, type Sink, type Source } from 'millrace';
import { fileSink, fileSource, jsonLines } from 'millrace/files';
import { json } from 'millrace/formats';
import { kafkaSink, kafkaSource } from 'millrace/kafka';
import type { OutputName } from './outputs.js';
import { transactionSchema, type Transaction } from './schemas.js';

export interface Connections {
  readonly transactions: Source<Transaction>;
  sink<T>(name: OutputName, schema: Schema<T>): Sink<T>;
}

export interface FileConnectionOptions {
  readonly input: string;
  readonly output: string;
  readonly splitBytes: number;
}

export function fileConnections(options: FileConnectionOptions): Connections {
  const { input, output, splitBytes } = options;
  return {
    transactions: fileSource({ path: input, format: jsonLines(transactionSchema), splitBytes }),
    sink: (name, schema) => fileSink({ path: `${output}/${name}`, format: jsonLines(schema) }),
  };
}

export interface KafkaConnectionsOptions {
  /** HOST:PORT, several with commas. */
  readonly brokers: string | undefined;
  readonly topic: string;
  /** How the names of the output topics begin; the output's name follows. */
  readonly outputTopics: string;
  /** Whether the job ends at what the topic holds when it starts. */
  readonly bounded: boolean;
}

/** Is told of the positions of completed checkpoints. */
const GROUP_ID = 'fraud-detection';

/** @throws MillraceError PARAM_INVALID when no broker is named */
export function kafkaConnections(options: KafkaConnectionsOptions): Connections {
  const { brokers, topic, outputTopics, bounded } = options;
  if (brokers === undefined) {
    throw new MillraceError(
      'PARAM_INVALID',
      'parameter "brokers" is missing, which source=kafka needs; add --param brokers=HOST:PORT',
    );
  }
  const connection = { brokers: brokers.split(',') };
  return {
    transactions: kafkaSource({
      connection,
      topics: topic,
      value: json(transactionSchema),
      groupId: GROUP_ID,
      ...(bounded ? { boundedAt: 'latest' } : {}),
    }),
    sink: (name, schema) =>
      kafkaSink({ connection, topic: `${outputTopics}${name}`, value: json(schema) }),
  };
}
