/**
 * The form of a run, a part of a keyed state checkpoint: magic, length of the header, header as
 * JSON, then chunks of the record codec, each 8-byte aligned and of one bucket of key groups. The
 * header lists every chunk with its bucket, so a restore at another parallelism opens no chunk that
 * it does not need. What a run says is gone is gone from earlier runs only. Bytes may be garbled:
 * reading must never crash, hang or follow an offset it did not check.
 */
import { MillraceError } from '../../core/errors.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import type { SchemaJson } from '../../core/schema-json.js';
import { STATE_KINDS, type KeyColumn, type StateKind } from './run-rows.js';
import type { RunBytes } from './run-storage.js';

export const RUN_VERSION = 2;
/** 'MRKS', read as a little-endian word. */
const MAGIC = 0x534b524d;
const PREFIX_BYTES = 8;
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
  /** All states that the operator declared when this was written. */
  readonly states: readonly StateSection[];
  readonly timers: TimerSection;
}

export interface RunFile {
  readonly header: RunHeader;
  chunk(entry: ChunkEntry): Uint8Array;
}

/** Collects chunks in the order of the file. */
export class ChunkList {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  get byteLength(): number {
    return this.#bytes;
  }

  add(bucket: number, chunk: Uint8Array): ChunkEntry {
    const entry: ChunkEntry = [bucket, this.#bytes, chunk.length];
    this.#chunks.push(chunk);
    this.#bytes += aligned(chunk.length);
    return entry;
  }

  /** The whole file. */
  join(header: RunHeader): Uint8Array {
    const text = new TextEncoder().encode(JSON.stringify(header));
    const bodyAt = aligned(PREFIX_BYTES + text.length);
    const file = new Uint8Array(bodyAt + this.#bytes);
    const prefix = new DataView(file.buffer);
    prefix.setUint32(0, MAGIC, true);
    prefix.setUint32(4, text.length, true);
    file.set(text, PREFIX_BYTES);
    let at = bodyAt;
    for (const chunk of this.#chunks) {
      file.set(chunk, at);
      at += aligned(chunk.length);
    }
    return file;
  }
}

/** @throws MillraceError CHECKPOINT_CORRUPT saying what is wrong */
export function openRunFile(bytes: RunBytes): RunFile {
  if (bytes.lengthBytes < PREFIX_BYTES) throw corruptRun('shorter than its prefix');
  const prefix = bytes.read(0, PREFIX_BYTES);
  const words = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  if (words.getUint32(0, true) !== MAGIC) throw corruptRun('not a run of keyed state');
  const headerLength = words.getUint32(4, true);
  const bodyAt = aligned(PREFIX_BYTES + headerLength);
  if (bodyAt > bytes.lengthBytes) throw corruptRun('cut off within its header');
  const header = parseHeader(bytes.read(PREFIX_BYTES, headerLength));
  checkChunks(header, bytes.lengthBytes - bodyAt);
  return { header, chunk: ([, offset, length]) => bytes.read(bodyAt + offset, length) };
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
    throw corruptRun('a header that is not JSON', cause);
  }
  if (isObject(json) && json['version'] !== RUN_VERSION) {
    throw corruptRun(`the unknown version ${JSON.stringify(json['version']) ?? 'none'}`);
  }
  if (!isHeader(json)) throw corruptRun('a header of another form');
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
