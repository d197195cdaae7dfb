/**
 * The form of a run, a part of a keyed state checkpoint: chunks of the record codec, each 8-byte
 * aligned and of one bucket of key groups, then the directory as JSON, its length and magic. The
 * directory lists every chunk with its bucket, so a restore at another parallelism opens no chunk
 * that it does not need, and comes last, so that chunks are written where they stay. What a run says is gone is gone from earlier runs only. Bytes may be garbled:
 * reading must never crash, hang or follow an offset it did not check.
 */
import { MillraceError } from '../../core/errors.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import type { SchemaJson } from '../../core/schema-json.js';
import type { RunBuffers } from './run-buffers.js';
import { STATE_KINDS, type KeyColumn, type StateKind } from './run-rows.js';
import type { RunBytes } from './run-storage.js';

export const RUN_VERSION = 3;
/** 'MRKS', read as a little-endian word. */
const MAGIC = 0x534b524d;
const SUFFIX_BYTES = 8;
const KEY_GROUPS_MAX = 32_768;

/** Bucket, offset from the first chunk and length in bytes. */
export type ChunkEntry = readonly [bucket: number, offset: number, length: number];

/** A state as a run or a merge has to know it. */
export interface StateForm {
  readonly name: string;
  readonly kind: StateKind;
  readonly schema: SchemaJson;
  readonly ttlMs: number | null;
}

export interface StateSection extends StateForm {
  /** Windows of which nothing is left. */
  readonly dropped: readonly ChunkEntry[];
  /** Keys of which nothing is left. */
  readonly cleared: readonly ChunkEntry[];
  /** Elements that are gone. */
  readonly removed: readonly ChunkEntry[];
  readonly rows: readonly ChunkEntry[];
}

export interface TimerSection {
  /** Times before which no timer is left. */
  readonly fired: readonly ChunkEntry[];
  readonly removed: readonly ChunkEntry[];
  readonly rows: readonly ChunkEntry[];
}

export interface RunHeader {
  readonly version: typeof RUN_VERSION;
  readonly operator: string;
  readonly checkpointId: number;
  readonly maxParallelism: number;
  readonly keyGroups: KeyGroupRange;
  readonly keys: KeyColumn;
  /** Rows of all kinds. */
  readonly changes: number;
  /** Which of the runs it is, from 0, that were written as one. */
  readonly part: number;
  /** All states that the operator declared when this was written. */
  readonly states: readonly StateSection[];
  readonly timers: TimerSection;
}

export interface RunFile {
  readonly header: RunHeader;
  chunk(entry: ChunkEntry): Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** Collects chunks in the order of the file, in pieces of memory that are the buffers'. */
export class ChunkList {
  readonly #buffers: RunBuffers;
  /** Full ones. */
  #pieces: Uint8Array[] = [];
  #piece: Uint8Array = NOTHING;
  /** In the piece at hand. */
  #used = 0;
  #byteLength = 0;

  constructor(buffers: RunBuffers) {
    this.#buffers = buffers;
  }

  /** Of all that was added, whether taken or not. */
  get byteLength(): number {
    return this.#byteLength;
  }

  add(bucket: number, chunk: Uint8Array): ChunkEntry {
    const offset = this.#byteLength;
    this.#append(chunk);
    return [bucket, offset, chunk.length];
  }

  /** What can be written while more is added; the taker gives it back to the buffers. */
  takeFull(): readonly Uint8Array[] {
    return this.#pieces.splice(0);
  }

  /** The rest of the file; the taker gives it back to the buffers. */
  finish(header: RunHeader): readonly Uint8Array[] {
    const text = new TextEncoder().encode(JSON.stringify(header));
    this.#append(text);
    const suffix = new DataView(new ArrayBuffer(SUFFIX_BYTES));
    suffix.setUint32(0, text.length, true);
    suffix.setUint32(4, MAGIC, true);
    this.#append(new Uint8Array(suffix.buffer));
    return [...this.takeFull(), this.#piece.subarray(0, this.#used)];
  }

  #append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      if (this.#used === this.#piece.length) this.#nextPiece();
      const length = Math.min(bytes.length - done, this.#piece.length - this.#used);
      this.#piece.set(
        done === 0 && length === bytes.length ? bytes : bytes.subarray(done, done + length),
        this.#used,
      );
      this.#used += length;
      done += length;
    }
    // Within the piece: its length is a multiple of the alignment.
    const padding = aligned(bytes.length) - bytes.length;
    this.#piece.fill(0, this.#used, this.#used + padding);
    this.#used += padding;
    this.#byteLength += aligned(bytes.length);
  }

  #nextPiece(): void {
    if (this.#used > 0) this.#pieces.push(this.#piece);
    this.#piece = this.#buffers.take();
    this.#used = 0;
  }
}

/** @throws MillraceError CHECKPOINT_CORRUPT saying what is wrong */
export function openRunFile(bytes: RunBytes): RunFile {
  const end = bytes.lengthBytes - SUFFIX_BYTES;
  if (end < 0) throw corruptRun('shorter than its end');
  const suffix = bytes.read(end, SUFFIX_BYTES);
  const words = new DataView(suffix.buffer, suffix.byteOffset, SUFFIX_BYTES);
  if (words.getUint32(4, true) !== MAGIC) throw corruptRun('not a run of keyed state');
  const headerLength = words.getUint32(0, true);
  const bodyLength = end - aligned(headerLength);
  if (bodyLength < 0) throw corruptRun('cut off within its directory');
  const header = parseHeader(bytes.read(bodyLength, headerLength));
  checkChunks(header, bodyLength);
  return { header, chunk: ([, offset, length]) => bytes.read(offset, length) };
}

export function corruptRun(what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `keyed state: a run with ${what}; restore from another checkpoint or savepoint`,
    cause === undefined ? {} : { cause },
  );
}

function parseHeader(text: Uint8Array): RunHeader {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw corruptRun('a directory that is not JSON', cause);
  }
  if (isObject(json) && json['version'] !== RUN_VERSION) {
    throw corruptRun(`the unknown version ${JSON.stringify(json['version']) ?? 'none'}`);
  }
  if (!isHeader(json)) throw corruptRun('a directory of another form');
  return json;
}

function isHeader(json: unknown): json is RunHeader {
  return (
    isObject(json) &&
    typeof json['operator'] === 'string' &&
    isCount(json['checkpointId']) &&
    isCount(json['maxParallelism']) &&
    json['maxParallelism'] >= 1 &&
    json['maxParallelism'] <= KEY_GROUPS_MAX &&
    isObject(json['keyGroups']) &&
    isCount(json['keyGroups']['start']) &&
    isCount(json['keyGroups']['end']) &&
    (json['keys'] === 'string' || json['keys'] === 'bytes') &&
    isCount(json['changes']) &&
    isCount(json['part']) &&
    Array.isArray(json['states']) &&
    json['states'].every(isSection) &&
    isObject(json['timers']) &&
    ['fired', 'removed', 'rows'].every((part) => isChunks((json['timers'] as Json)[part]))
  );
}

function isSection(json: unknown): json is StateSection {
  return (
    isObject(json) &&
    typeof json['name'] === 'string' &&
    STATE_KINDS.some((kind) => kind === json['kind']) &&
    (json['ttlMs'] === null || typeof json['ttlMs'] === 'number') &&
    ['dropped', 'cleared', 'removed', 'rows'].every((part) => isChunks(json[part]))
  );
}

function isChunks(json: unknown): json is ChunkEntry[] {
  return (
    Array.isArray(json) &&
    json.every((entry) => Array.isArray(entry) && entry.length === 3 && entry.every(isCount))
  );
}

/** Chunks cover the body without overlap, so a forged list can't have one of them read many times. */
function checkChunks({ states, timers }: RunHeader, bodyLength: number): void {
  const chunks = [
    ...states.flatMap(({ dropped, cleared, removed, rows }) => [dropped, cleared, removed, rows]),
    timers.fired,
    timers.removed,
    timers.rows,
  ].flat();
  let end = 0;
  for (const [, offset, length] of chunks.sort((a, b) => a[1] - b[1])) {
    // An empty chunk would let two share an offset, and no codec writes one.
    if (offset !== end || length === 0) throw corruptRun('chunks that overlap or leave a gap');
    end += aligned(length);
  }
  if (end !== bodyLength) throw corruptRun('a length that does not match its chunks');
}

type Json = Readonly<Record<string, unknown>>;

function isObject(json: unknown): json is Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function isCount(json: unknown): json is number {
  return Number.isSafeInteger(json) && (json as number) >= 0;
}

function aligned(length: number): number {
  return Math.ceil(length / 8) * 8;
}
