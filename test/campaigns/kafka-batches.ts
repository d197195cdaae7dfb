/**
 * Mutated record batches: whatever a byte of a Fetch answer is turned into, the codec gives an error or
 * the right records, and never hangs, crashes or hands out a wrong one. The answers come from logs with
 * transactions, compaction's gaps and every codec; what is right is known from the log, not from the codec.
 *
 * One flaw of the format is allowed for: a batch's checksum does not cover its base offset. What a mutation of
 * that does is held to a weaker rule: the records are still whole, and records of the log.
 * Forged answers have a right checksum over wrong bytes: of those only crashes and disorder count.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import zstd from '@mongodb-js/zstd';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import { RecordBatchError } from '../../connectors/kafka/record-batch-error.js';
import { RecordSetReader } from '../../connectors/kafka/record-set-reader.js';
import type { RecordSpec } from '../connectors/kafka/batch-bytes.js';
import { ABORT, COMMIT, restamp, withCodec } from '../connectors/kafka/batch-bytes.js';
import type { FetchAnswer } from '../connectors/kafka/partition-log.js';
import { PartitionLog } from '../connectors/kafka/partition-log.js';
import { recordAt } from '../connectors/kafka/read-records.js';

const LOGS = 40;
const DECOMPRESSED_BYTES_MAX = 1_000_000;
const BASE_OFFSET_BYTES = 8;
const COVERED_START = 21;

export interface MutationReport {
  readonly mutations: number;
  readonly seed: number;
  /** Answered by an error. */
  readonly errors: number;
  /** Answered by the right records, all or up to a batch that was cut. */
  readonly right: number;
  /** Answered by records, of an answer that was forged or whose base offset was changed. */
  readonly undetectable: number;
  readonly slowestMs: number;
  /** What must not be, the first few. */
  readonly failures: readonly string[];
}

/** An answer as sent, and what its reader may be asked. */
export interface SentAnswer extends FetchAnswer {
  readonly recordSet: Buffer;
}

/** What a reader made of an answer. */
export interface Reading {
  readonly records: RecordSpec[];
  readonly nextOffset: number;
  readonly error?: unknown;
}

export type AnswerReader = (answer: SentAnswer) => Promise<Reading>;

interface Mutation {
  readonly what: string;
  readonly recordSet: Buffer;
  /** Why the checksum need not tell of it. */
  readonly undetectable?: 'base offset' | 'forged';
}

/** Numbers below `bound`, the same for the same seed (mulberry32). */
export type Random = (bound: number) => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** The codec as the connector uses it. */
export async function readAnswer(answer: SentAnswer): Promise<Reading> {
  const reader = new RecordSetReader({
    isolation: 'read_committed',
    decompressedBytesMax: DECOMPRESSED_BYTES_MAX,
  });
  const records: RecordSpec[] = [];
  try {
    reader.begin(answer.recordSet, answer);
    for (;;) {
      const prepared = reader.prepare();
      if (prepared !== undefined) await prepared;
      const columns = reader.next();
      if (columns === undefined) return { records, nextOffset: reader.nextOffset };
      for (let index = 0; index < columns.count; index++) records.push(recordAt(columns, index));
    }
  } catch (error) {
    return { records, nextOffset: reader.nextOffset, error };
  }
}

/** Reads `mutations` mutated answers; the same seed makes the same ones. */
export async function mutateBatches(options: {
  readonly mutations: number;
  readonly seed: number;
  readonly read?: AnswerReader;
}): Promise<MutationReport> {
  const { mutations, seed, read = readAnswer } = options;
  const random = seededRandom(seed);
  const logs: PartitionLog[] = [];
  for (let index = 0; index < LOGS; index++) logs.push(await randomLog(random));
  const counts = { errors: 0, right: 0, undetectable: 0 };
  const failures: string[] = [];
  let slowestMs = 0;
  for (let number = 0; number < mutations && failures.length < 5; number++) {
    const log = pick(random, logs);
    const answer = log.fetch(random(log.endOffset), 1 + random(4));
    // The first of every hundred is left as it is: the right answer is expected to be right.
    const mutation = number % 100 === 0 ? untouched(answer) : mutate(random, answer);
    const began = performance.now();
    const reading = await read({ ...answer, recordSet: mutation.recordSet });
    slowestMs = Math.max(slowestMs, performance.now() - began);
    const wrong = judge(log, answer, mutation, reading);
    if (wrong !== undefined) failures.push(`mutation ${number} (${mutation.what}): ${wrong}`);
    if (reading.error !== undefined) counts.errors++;
    else if (mutation.undetectable !== undefined) counts.undetectable++;
    else counts.right++;
  }
  return { mutations, seed, ...counts, slowestMs: Math.round(slowestMs), failures };
}

/** What is wrong with a reading; undefined: nothing. */
function judge(
  log: PartitionLog,
  answer: FetchAnswer,
  mutation: Mutation,
  reading: Reading,
): string | undefined {
  const { error, records, nextOffset } = reading;
  if (error !== undefined && !(error instanceof RecordBatchError)) {
    return `it ended with ${inspect(error)}`;
  }
  if (mutation.undetectable !== undefined) {
    const strange = records.find((spec) => !log.written.some((one) => sameContent(one, spec)));
    if (mutation.undetectable === 'base offset' && strange !== undefined) {
      return `nobody wrote the record at offset ${strange.offset}`;
    }
    return inOrder(answer.fetchOffset, records, nextOffset) ? undefined : 'offsets do not increase';
  }
  if (nextOffset > answer.nextOffset) return `it moved on to ${nextOffset}, beyond the answer`;
  if (mutation.what === 'untouched' && nextOffset !== answer.nextOffset) {
    return `it read up to ${nextOffset} of ${answer.nextOffset}`;
  }
  const expected = log.visible(answer.fetchOffset, nextOffset);
  return isDeepStrictEqual(records, expected)
    ? undefined
    : `it read ${offsetsOf(records)} up to ${nextOffset}; right is ${offsetsOf(expected)}`;
}

function sameContent(left: RecordSpec, right: RecordSpec): boolean {
  return isDeepStrictEqual({ ...left, offset: 0 }, { ...right, offset: 0 });
}

function inOrder(from: number, records: readonly RecordSpec[], nextOffset: number): boolean {
  let least = from;
  for (const { offset } of records) {
    if (offset < least) return false;
    least = offset + 1;
  }
  return nextOffset >= least;
}

function offsetsOf(records: readonly RecordSpec[]): string {
  return `[${records.map(({ offset, value }) => `${offset}:${String(value).slice(0, 8)}`).join(' ')}]`;
}

function untouched(answer: FetchAnswer): Mutation {
  return { what: 'untouched', recordSet: Buffer.concat(answer.batches) };
}

function mutate(random: Random, answer: FetchAnswer): Mutation {
  const batches = answer.batches.map((batch) => Buffer.from(batch));
  const batch = pick(random, batches);
  const at = random(batch.length);
  switch (random(8)) {
    case 0: {
      const bytes = Buffer.concat(batches);
      const cut = random(bytes.length + 1);
      return { what: `cut to ${cut}`, recordSet: bytes.subarray(0, cut) };
    }
    case 1: {
      const length = batch.readInt32BE(8);
      const lie = pick(random, [
        -1,
        0,
        1,
        48,
        length - 1,
        length + 1,
        random(2 ** 31),
        2 ** 31 - 1,
      ]);
      batch.writeInt32BE(lie, 8);
      return { what: `length ${lie}`, recordSet: Buffer.concat(batches) };
    }
    case 2: {
      const other = pick(random, batches);
      const repeated = Buffer.concat([...batches, other]);
      return { what: 'a batch again', recordSet: repeated };
    }
    case 3: {
      const size = 1 + random(Math.min(30, batch.length - at));
      const from = random(batch.length - size + 1);
      batch.copy(batch, at, from, from + size);
      return mutation('bytes moved', batches, at < BASE_OFFSET_BYTES);
    }
    case 4:
    case 5: {
      // Forged: among the covered bytes, with a checksum that says all is well.
      const target = COVERED_START + random(batch.length - COVERED_START);
      batch[target] = random(256);
      restamp(batch);
      return {
        what: `forged at ${target}`,
        recordSet: Buffer.concat(batches),
        undetectable: 'forged',
      };
    }
    default: {
      const flips = 1 + random(3);
      let offsetTouched = false;
      for (let flip = 0; flip < flips; flip++) {
        const target = flip === 0 ? at : random(batch.length);
        offsetTouched ||= target < BASE_OFFSET_BYTES;
        batch[target] = (batch[target] ?? 0) ^ (1 << random(8));
      }
      return mutation(`bits from ${at}`, batches, offsetTouched);
    }
  }
}

function mutation(what: string, batches: readonly Buffer[], offsetTouched: boolean): Mutation {
  const recordSet = Buffer.concat(batches);
  return offsetTouched ? { what, recordSet, undetectable: 'base offset' } : { what, recordSet };
}

async function randomLog(random: Random): Promise<PartitionLog> {
  const log = new PartitionLog();
  const steps = 4 + random(12);
  for (let step = 0; step < steps; step++) {
    const producerId = random(3) === 0 ? undefined : BigInt(random(3));
    const kind = random(12);
    if (kind === 0) log.empty(1 + random(20));
    else if (kind === 1) log.skip(1 + random(1_000));
    else if (kind < 5) log.end(BigInt(random(3)), random(2) === 0 ? ABORT : COMMIT);
    else log.write(randomRecords(random), producerId);
  }
  log.write(randomRecords(random));
  log.abortOpen();
  for (const batch of log.batches) {
    if (batch.hasRecords) batch.bytes = await compressed(batch.bytes, random(5));
  }
  return log;
}

function randomRecords(random: Random): Omit<RecordSpec, 'offset'>[] {
  const base = random(2) === 0 ? -5_000 : 1_700_000_000_000;
  return Array.from({ length: 1 + random(8) }, () => ({
    key: random(3) === 0 ? Buffer.alloc(4) : randomBytes(random),
    value: randomBytes(random),
    timestamp: random(5) === 0 ? -1 : base + random(10_000),
    headers: Array.from({ length: random(4) === 0 ? random(4) : 0 }, (_, i) => ({
      key: `header ${i} ü`,
      value: randomBytes(random),
    })),
  }));
}

function randomBytes(random: Random): Buffer | null {
  const kind = random(10);
  if (kind === 0) return null;
  if (kind === 1) return Buffer.alloc(0);
  return Buffer.alloc(1 + random(kind === 2 ? 300 : 40), `${random(1_000)}é`);
}

async function compressed(batch: Buffer, codec: number): Promise<Buffer> {
  const records = batch.subarray(61);
  if (codec === 1) return withCodec(batch, codec, gzipSync(records));
  if (codec === 2) return withCodec(batch, codec, snappy.compressSync(records));
  if (codec === 3) return withCodec(batch, codec, lz4.compressFrameSync(records));
  if (codec === 4) return withCodec(batch, codec, await zstd.compress(records, 1));
  return batch;
}

function pick<T>(random: Random, from: readonly T[]): T {
  const one = from[random(from.length)];
  if (one === undefined) throw new RangeError('there is nothing to pick from');
  return one;
}
