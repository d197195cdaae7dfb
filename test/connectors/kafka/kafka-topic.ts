/** Topics for tests of the Kafka connectors, written with kafkajs. */
import kafkajs, { type Admin, type Kafka, type Message, type Producer } from 'kafkajs';
import { compress, decompress, type Compression } from '../../../connectors/kafka/compression.js';

const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs;

const BYTES_MAX = 1024 * 1024;
const TYPES = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
} as const satisfies Record<Compression, number>;

for (const compression of ['snappy', 'lz4', 'zstd'] as const) {
  CompressionCodecs[TYPES[compression]] = () => ({
    compress: ({ buffer }: { readonly buffer: Buffer }) => compress(compression, buffer),
    decompress: (bytes: Buffer) =>
      Promise.resolve(compression === 'zstd' ? bytes : decompress(compression, bytes, BYTES_MAX)),
  });
}

/** Producers of a test file, over one connection to the cluster. */
export class TopicWriter {
  private constructor(
    private readonly kafka: Kafka,
    readonly admin: Admin,
    private readonly producer: Producer,
  ) {}

  static async connect(brokers: readonly string[]): Promise<TopicWriter> {
    const kafka = new kafkajs.Kafka({
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 50 },
    });
    const writer = new TopicWriter(kafka, kafka.admin(), kafka.producer());
    await Promise.all([writer.admin.connect(), writer.producer.connect()]);
    return writer;
  }

  async write(
    topic: string,
    messages: readonly Message[],
    compression: Compression = 'none',
  ): Promise<void> {
    await this.producer.send({ topic, messages: [...messages], compression: TYPES[compression] });
  }

  /** One transaction for each entry, by one producer. */
  async transactions(
    topic: string,
    entries: readonly { readonly end: 'commit' | 'abort'; readonly messages: readonly Message[] }[],
  ): Promise<void> {
    const producer = this.kafka.producer({
      transactionalId: `writer-of-${topic}`,
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await producer.connect();
    for (const { end, messages } of entries) {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [...messages] });
      await transaction[end]();
    }
    await producer.disconnect();
  }

  async close(): Promise<void> {
    await Promise.all([this.admin.disconnect(), this.producer.disconnect()]);
  }
}
