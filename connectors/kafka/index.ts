/** The public door of the Kafka connectors: `import { kafkaSource } from 'millrace/kafka'`. */
export { kafkaSource } from './kafka-source.js';
export type {
  KafkaEnvelopeOptions,
  KafkaSourceOptions,
  KafkaValueOptions,
} from './kafka-source-options.js';
export type {
  KafkaConnectionOptions,
  KafkaSaslOptions,
  KafkaTlsOptions,
} from './kafka-connection.js';
export type { SecretReference } from '../secret.js';
export type { KafkaHeader, KafkaRecord } from './kafka-record.js';
export type { KafkaSplit } from './kafka-split.js';
export type { KafkaEnd, KafkaOffsets, KafkaStart } from './split-offsets.js';
export { kafkaSink } from './kafka-sink.js';
export type {
  KafkaDelivery,
  KafkaKey,
  KafkaSinkOptions,
  KafkaTransaction,
  TopicPerRecord,
} from './kafka-sink-options.js';
export type {
  BatchCommittable,
  KafkaCommittable,
  TransactionCommittable,
} from './kafka-committable.js';
export type { Compression } from './compression.js';
export { changeSchema, type Change } from './change.js';
export { upsertKafkaSource, type UpsertKafkaSourceOptions } from './upsert-kafka-source.js';
export { upsertKafkaSink, type UpsertKafkaSinkOptions } from './upsert-kafka-sink.js';
