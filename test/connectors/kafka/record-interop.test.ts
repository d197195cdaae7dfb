/**
 * The record-batch codec beside kafkajs' own, in process: what one writes, the other reads. Brokers and
 * the Java tools read and write it in the campaign with real brokers.
 */
import { createRequire } from 'node:module';
import test from 'ava';
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import zstd from '@mongodb-js/zstd';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import { COMPRESSIONS } from '../../../connectors/kafka/compression.js';
import { xerialBlocks } from '../../../connectors/kafka/compressed-frame.js';
import {
  compressBatch,
  RecordBatchBuilder,
} from '../../../connectors/kafka/record-batch-builder.js';
import { stampBatch } from '../../../connectors/kafka/record-batch-header.js';
import type { RecordSpec } from './batch-bytes.js';
import { readRecords } from './read-records.js';
import { draftRecords, placeRecords } from './record-batch-arbitraries.js';

interface KafkajsRecord {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null | (Buffer | null)[]>>;
}

interface KafkajsBatch {
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly inTransaction: boolean;
  readonly records: readonly KafkajsRecord[];
}

interface KafkajsEncoder {
  readonly buffer: Buffer;
}

interface KafkajsCodec {
  compress(encoder: KafkajsEncoder): Promise<Buffer>;
  decompress(bytes: Buffer): Promise<Buffer>;
}

const require = createRequire(import.meta.url);
const { CompressionCodecs } = require('kafkajs') as {
  CompressionCodecs: Record<number, () => KafkajsCodec>;
};
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object;
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<KafkajsBatch>;
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch: (options: {
    compression: number;
    firstTimestamp: number;
    maxTimestamp: number;
    lastOffsetDelta: number;
    records: readonly KafkajsEncoder[];
  }) => Promise<KafkajsEncoder>;
};
const KafkajsRecordEncoder = require('kafkajs/src/protocol/recordBatch/record/v0') as (options: {
  offsetDelta: number;
  timestampDelta: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: Readonly<Record<string, Uint8Array | Uint8Array[]>>;
}) => KafkajsEncoder;

// kafkajs brings gzip only; the others are the packages' own, by the numbers of the protocol.
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;
CompressionCodecs[SNAPPY] = () => ({
  compress: ({ buffer }) => snappy.compress(buffer),
  decompress: async (bytes) =>
    Buffer.concat(
      await Promise.all(
        (xerialBlocks(bytes) ?? [bytes]).map(async (block) =>
          Buffer.from(await snappy.uncompress(block)),
        ),
      ),
    ),
});
CompressionCodecs[LZ4] = () => ({
  compress: ({ buffer }) => lz4.compressFrame(buffer),
  decompress: (bytes) => lz4.decompressFrame(bytes),
});
CompressionCodecs[ZSTD] = () => ({
  compress: ({ buffer }) => zstd.compress(buffer, 3),
  decompress: (bytes) => zstd.decompress(bytes),
});

/** kafkajs makes an object of headers: a key that comes again becomes a list. */
function asKafkajs({ offset, timestamp, key, value, headers }: RecordSpec): KafkajsRecord {
  const byKey: Record<string, Buffer | null | (Buffer | null)[]> = {};
  for (const header of headers) {
    const bytes = header.value === null ? null : Buffer.from(header.value);
    const earlier = byKey[header.key];
    if (earlier === undefined) byKey[header.key] = bytes;
    else byKey[header.key] = Array.isArray(earlier) ? [...earlier, bytes] : [earlier, bytes];
  }
  return {
    offset: String(offset),
    timestamp: String(timestamp),
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers: byKey,
  };
}

const records = draftRecords.map((drafts) =>
  placeRecords(
    drafts.map((draft) => ({
      ...draft,
      gap: 0,
      // Names such as __proto__ are lost in kafkajs' object.
      headers: draft.headers.map(({ key, value }) => ({ key: `h${key}`, value })),
    })),
    0,
  ),
);

COMPRESSIONS.forEach((compression, number) => {
  test(`kafkajs reads what we build in ${compression}`, async (t) => {
    const builder = new RecordBatchBuilder({ batchBytesMax: 1_000_000 });
    await fc.assert(
      fc.asyncProperty(records, async (specs) => {
        for (const { timestamp, key, value, headers } of specs) {
          builder.append(timestamp, key, value, headers);
        }
        const batch = await compressBatch(builder.build(), compression);
        stampBatch(batch, {
          producerId: 77n,
          producerEpoch: 4,
          baseSequence: 900,
          transactional: true,
        });
        const read = await decodeBatch(new Decoder(batch));
        const seen = read.records.map(({ offset, timestamp, key, value, headers }) => ({
          offset,
          timestamp,
          key,
          value,
          headers,
        }));
        return (
          isDeepStrictEqual(seen, specs.map(asKafkajs)) &&
          read.producerId === '77' &&
          read.producerEpoch === 4 &&
          read.firstSequence === 900 &&
          read.inTransaction
        );
      }),
      { numRuns: 40 },
    );
    t.pass();
  });

  test(`we read what kafkajs writes in ${compression}`, async (t) => {
    await fc.assert(
      fc.asyncProperty(records, async (drafts) => {
        // What kafkajs cannot write: headers of null, and the order of headers with the same key.
        const specs = drafts.map((spec) => ({
          ...spec,
          headers: spec.headers.map(({ value }, i) => ({
            key: `header ü ${i}`,
            value: value ?? Buffer.alloc(0),
          })),
        }));
        const firstTimestamp = specs[0]?.timestamp ?? 0;
        const { buffer } = await RecordBatch({
          compression: number,
          firstTimestamp,
          maxTimestamp: Math.max(...specs.map(({ timestamp }) => timestamp)),
          lastOffsetDelta: specs.length - 1,
          records: specs.map(({ offset, timestamp, key, value, headers }) =>
            KafkajsRecordEncoder({
              offsetDelta: offset,
              timestampDelta: timestamp - firstTimestamp,
              key,
              value,
              headers: Object.fromEntries(headers.map((header) => [header.key, header.value])),
            }),
          ),
        });
        const read = await readRecords(buffer);
        return isDeepStrictEqual(read.records, specs) && read.nextOffset === specs.length;
      }),
      { numRuns: 40 },
    );
    t.pass();
  });
});
