/**
 * The form of a keyed state snapshot: magic, length of the header, header as JSON, then chunks of
 * the record codec, each 8-byte aligned and of one key group. The header lists every chunk with
 * its key group, so a restore at another parallelism opens no chunk that it does not need. Bytes
 * may be garbled: reading must never crash, hang or follow an offset it did not check.
 */
import { MillraceError } from '../../core/errors.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import type { SchemaJson } from '../../core/schema-json.js';
import { STATE_KINDS, type KeyColumn, type StateKind } from './snapshot-rows.js';

export const SNAPSHOT_VERSION = 1;
/** 'MRKS', read as a little-endian word. */
const MAGIC = 0x534b524d;
const PREFIX_BYTES = 8;

/** Key group, offset from the first chunk and length in bytes. */
export type ChunkEntry = readonly [keyGroup: number, offset: number, length: number];

export interface StateSection {
  readonly name: string;
  readonly kind: StateKind;
  readonly schema: SchemaJson;
  readonly ttlMs: number | null;
  readonly chunks: readonly ChunkEntry[];
}

export interface SnapshotHeader {
  readonly version: typeof SNAPSHOT_VERSION;
  readonly operator: string;
  readonly checkpointId: number;
  readonly maxParallelism: number;
  readonly keyGroups: KeyGroupRange;
  readonly keys: KeyColumn;
  readonly states: readonly StateSection[];
  readonly timers: readonly ChunkEntry[];
}

export interface SnapshotFile {
  readonly header: SnapshotHeader;
  chunk(entry: ChunkEntry): Uint8Array;
}

/** Collects chunks in the order of the file. */
export class ChunkList {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  get byteLength(): number {
    return this.#bytes;
  }

  add(keyGroup: number, chunk: Uint8Array): ChunkEntry {
    const entry: ChunkEntry = [keyGroup, this.#bytes, chunk.length];
    this.#chunks.push(chunk);
    this.#bytes += aligned(chunk.length);
    return entry;
  }

  /** The whole file. */
  join(header: SnapshotHeader): Uint8Array {
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
export function readSnapshotFile(bytes: Uint8Array): SnapshotFile {
  if (bytes.length < PREFIX_BYTES) throw corruptSnapshot('shorter than its prefix');
  const prefix = new DataView(bytes.buffer, bytes.byteOffset, PREFIX_BYTES);
  if (prefix.getUint32(0, true) !== MAGIC) throw corruptSnapshot('not a keyed state snapshot');
  const headerLength = prefix.getUint32(4, true);
  const bodyAt = aligned(PREFIX_BYTES + headerLength);
  if (bodyAt > bytes.length) throw corruptSnapshot('cut off within its header');
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerLength));
  checkChunks(header, bytes.length - bodyAt);
  return {
    header,
    chunk: ([, offset, length]) => bytes.subarray(bodyAt + offset, bodyAt + offset + length),
  };
}

export function corruptSnapshot(what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `keyed state snapshot: ${what}; restore from another checkpoint or savepoint`,
    cause === undefined ? {} : { cause },
  );
}

function parseHeader(text: Uint8Array): SnapshotHeader {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw corruptSnapshot('a header that is not JSON', cause);
  }
  if (isObject(json) && json['version'] !== SNAPSHOT_VERSION) {
    throw corruptSnapshot(`version ${JSON.stringify(json['version']) ?? 'missing'} is unknown`);
  }
  if (!isHeader(json)) throw corruptSnapshot('a header of another form');
  return json;
}

function isHeader(json: unknown): json is SnapshotHeader {
  return (
    isObject(json) &&
    typeof json['operator'] === 'string' &&
    isCount(json['maxParallelism']) &&
    (json['keys'] === 'string' || json['keys'] === 'bytes') &&
    Array.isArray(json['states']) &&
    json['states'].every(isSection) &&
    isChunks(json['timers'])
  );
}

function isSection(json: unknown): json is StateSection {
  return (
    isObject(json) &&
    typeof json['name'] === 'string' &&
    STATE_KINDS.some((kind) => kind === json['kind']) &&
    (json['ttlMs'] === null || typeof json['ttlMs'] === 'number') &&
    isChunks(json['chunks'])
  );
}

function isChunks(json: unknown): json is ChunkEntry[] {
  return (
    Array.isArray(json) &&
    json.every((entry) => Array.isArray(entry) && entry.length === 3 && entry.every(isCount))
  );
}

/** Chunks lie one after the other, so a forged list can't have one of them read many times. */
function checkChunks(header: SnapshotHeader, bodyLength: number): void {
  let end = 0;
  for (const chunks of [...header.states.map((state) => state.chunks), header.timers]) {
    for (const [keyGroup, offset, length] of chunks) {
      if (offset !== end) throw corruptSnapshot('chunks that overlap or leave a gap');
      if (keyGroup >= header.maxParallelism) throw corruptSnapshot('an unknown key group');
      end += aligned(length);
    }
  }
  if (end !== bodyLength) throw corruptSnapshot('its length does not match its chunks');
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function isCount(json: unknown): json is number {
  return Number.isSafeInteger(json) && (json as number) >= 0;
}

function aligned(length: number): number {
  return Math.ceil(length / 8) * 8;
}
