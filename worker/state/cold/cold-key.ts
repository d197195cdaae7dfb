/**
 * How the keys of the cold store are laid out. Bytes sort as their parts do, the table first, so each
 * kind of range below is one range of bytes. Nothing here outlives the slot, so it may change freely.
 *
 * | table   | key                                                                   |
 * | ------- | --------------------------------------------------------------------- |
 * | row     | operator, key group, key                                              |
 * | element | operator, collection, name                                            |
 * | timer   | operator, domain, timestamp, sequence, key                            |
 * | window  | operator, state, window start, key group, key                         |
 */
import { encodeKey, keyHash, type Key } from '../../../core/key-codec.js';
import { keyGroupOf, type KeyGroupRange } from '../../../core/key-group.js';
import { prefixRange, readSortable, writeSortable } from './byte-order.js';
import type { ByteRange } from './cold-database.js';
import { bufferOf } from './packed-bytes.js';

/** A key as the cold store knows it. */
export interface ColdKey {
  /** As `encodeKey` made them. */
  readonly bytes: Uint8Array;
  readonly keyGroup: number;
}

export function coldKeyOf(key: Key, maxParallelism: number): ColdKey {
  return { bytes: encodeKey(key), keyGroup: keyGroupOf(keyHash(key), maxParallelism) };
}

const NO_BYTES = new Uint8Array(0);

const TABLES = { row: 1, element: 2, timer: 3, window: 4 } as const;

/** Parts of fixed length before the key itself: table, operator, and what the table has. */
const ROW_HEAD = 1 + 2 + 2;
const ELEMENT_HEAD = 1 + 2 + 6;
const TIMER_HEAD = 1 + 2 + 1 + 8 + 8;
const WINDOW_HEAD = 1 + 2 + 2 + 8 + 2;

export function rowKey(operator: number, { bytes, keyGroup }: ColdKey): Buffer {
  const key = Buffer.allocUnsafe(ROW_HEAD + bytes.length);
  writeHead(key, TABLES.row, operator);
  key.writeUInt16BE(keyGroup, 3);
  key.set(bytes, ROW_HEAD);
  return key;
}

export function readRowKey(rowKey: Uint8Array): ColdKey {
  return { keyGroup: bufferOf(rowKey).readUInt16BE(3), bytes: rowKey.subarray(ROW_HEAD) };
}

/** All rows of an operator, or those of some key groups. */
export function rowRange(operator: number, keyGroups?: KeyGroupRange): ByteRange {
  if (keyGroups === undefined) return tableRange(TABLES.row, operator);
  // 32,768 key groups at most: one past the last still fits.
  const at = (keyGroup: number): Buffer => rowKey(operator, { bytes: NO_BYTES, keyGroup });
  return { from: at(keyGroups.start), to: at(keyGroups.end) };
}

export function elementKey(operator: number, collection: number, name: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(ELEMENT_HEAD + name.length);
  writeHead(key, TABLES.element, operator);
  key.writeUIntBE(collection, 3, 6);
  key.set(name, ELEMENT_HEAD);
  return key;
}

/** The elements of one collection, in order of their names. */
export function elementRange(operator: number, collection: number): ByteRange {
  return prefixRange(elementKey(operator, collection, NO_BYTES));
}

export function readElementName(elementKey: Uint8Array): Uint8Array {
  return elementKey.subarray(ELEMENT_HEAD);
}

export function elementsOf(operator: number): ByteRange {
  return tableRange(TABLES.element, operator);
}

export interface ColdTimer {
  readonly timestamp: number;
  /** Order of registration among equal timestamps. */
  readonly sequence: number;
  /** Key of the timer, encoded. */
  readonly key: Uint8Array;
}

export function timerKey(operator: number, domain: number, timer: ColdTimer): Buffer {
  const key = Buffer.allocUnsafe(TIMER_HEAD + timer.key.length);
  writeTimerHead(key, operator, domain, timer.timestamp);
  writeSortable(key, timer.sequence, 12);
  key.set(timer.key, TIMER_HEAD);
  return key;
}

export function readTimerKey(timerKey: Uint8Array): ColdTimer {
  return {
    timestamp: readSortable(timerKey, 4),
    sequence: readSortable(timerKey, 12),
    key: timerKey.subarray(TIMER_HEAD),
  };
}

/** Timers of a domain from one place on up to a timestamp, both included. */
export function timerRange(
  operator: number,
  domain: number,
  from: Pick<ColdTimer, 'timestamp' | 'sequence'>,
  upTo: number,
): ByteRange {
  const end = Buffer.allocUnsafe(12);
  writeTimerHead(end, operator, domain, upTo);
  return {
    from: timerKey(operator, domain, { ...from, key: NO_BYTES }),
    to: prefixRange(end).to,
  };
}

export function windowKey(operator: number, state: number, start: number, key: ColdKey): Buffer {
  const bytes = Buffer.allocUnsafe(WINDOW_HEAD + key.bytes.length);
  writeWindowHead(bytes, operator, state, start);
  bytes.writeUInt16BE(key.keyGroup, 13);
  bytes.set(key.bytes, WINDOW_HEAD);
  return bytes;
}

export function readWindowKey(windowKey: Uint8Array): ColdKey {
  return { keyGroup: bufferOf(windowKey).readUInt16BE(13), bytes: windowKey.subarray(WINDOW_HEAD) };
}

/** All keys of one window. */
export function windowRange(operator: number, state: number, start: number): ByteRange {
  const head = Buffer.allocUnsafe(13);
  writeWindowHead(head, operator, state, start);
  return prefixRange(head);
}

function tableRange(table: number, operator: number): ByteRange {
  const head = Buffer.allocUnsafe(3);
  writeHead(head, table, operator);
  return prefixRange(head);
}

function writeHead(key: Buffer, table: number, operator: number): void {
  key.writeUInt8(table, 0);
  key.writeUInt16BE(operator, 1);
}

function writeTimerHead(key: Buffer, operator: number, domain: number, timestamp: number): void {
  writeHead(key, TABLES.timer, operator);
  key.writeUInt8(domain, 3);
  writeSortable(key, timestamp, 4);
}

function writeWindowHead(key: Buffer, operator: number, state: number, start: number): void {
  writeHead(key, TABLES.window, operator);
  key.writeUInt16BE(state, 3);
  writeSortable(key, start, 5);
}
