/**
 * JSON's grammar over bytes, for what a generated scanner does not do in place: each function takes
 * where something begins and returns where it ends, or -1. They may refuse what JSON allows, which is
 * then read by `JSON.parse`; they must never take what JSON refuses.
 */
import { isUtf8 } from 'node:buffer';

const [QUOTE, PLUS, COMMA, MINUS, POINT, ZERO, COLON] = [34, 43, 44, 45, 46, 48, 58];
const [OPEN_ARRAY, BACKSLASH, CLOSE_ARRAY, SMALL_E, OPEN, CLOSE] = [91, 92, 93, 101, 123, 125];
const LOWER_CASE = 32;
/** Levels of a value that is skipped. */
const DEPTH_MAX = 32;

const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));
const WORDS = ['true', 'false', 'null'].map((word) => Buffer.from(word));

/** 1: a byte that stands for itself in a string and is a character. */
export const PLAIN_BYTES = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 32 && byte < 128 && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

/** Powers of ten as far as doubles hold them exactly: a quotient by one is rounded once. */
export const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) =>
  Number(`1e${String(exponent)}`),
);

/** From behind the opening quote to the closing one, for text without escapes that is UTF-8. */
export function textEnd(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(QUOTE, from);
  for (let at = from; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte < 32 || byte === BACKSLASH) return -1;
  }
  return end >= 0 && isUtf8(bytes.subarray(from, end)) ? end : -1;
}

/** Of a number of any length, with or without a fraction and an exponent. */
export function numberEnd(bytes: Uint8Array, from: number): number {
  let at = bytes[from] === MINUS ? from + 1 : from;
  at = bytes[at] === ZERO ? at + 1 : digitsEnd(bytes, at);
  if (at >= 0 && bytes[at] === POINT) at = digitsEnd(bytes, at + 1);
  if (at >= 0 && ((bytes[at] ?? 0) | LOWER_CASE) === SMALL_E) {
    const sign = bytes[at + 1];
    at = digitsEnd(bytes, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
  }
  return at;
}

/** Of a value of any kind, blanks around it included. */
export function valueEnd(bytes: Buffer, from: number, depth = DEPTH_MAX): number {
  if (depth === 0) return -1;
  const start = blanksEnd(bytes, from);
  const end = bareValueEnd(bytes, start, depth);
  return end < 0 ? -1 : blanksEnd(bytes, end);
}

function bareValueEnd(bytes: Buffer, start: number, depth: number): number {
  switch (bytes[start]) {
    case QUOTE:
      return stringEnd(bytes, start + 1);
    case OPEN:
      return listEnd(bytes, start + 1, CLOSE, (at) => {
        const key = blanksEnd(bytes, at);
        const end = bytes[key] === QUOTE ? stringEnd(bytes, key + 1) : -1;
        const colon = end < 0 ? -1 : blanksEnd(bytes, end);
        return bytes[colon] === COLON ? valueEnd(bytes, colon + 1, depth - 1) : -1;
      });
    case OPEN_ARRAY:
      return listEnd(bytes, start + 1, CLOSE_ARRAY, (at) => valueEnd(bytes, at, depth - 1));
    default: {
      const word = WORDS.find((one) => one.every((byte, index) => bytes[start + index] === byte));
      return word === undefined ? numberEnd(bytes, start) : start + word.length;
    }
  }
}

function listEnd(
  bytes: Buffer,
  from: number,
  close: number,
  itemEnd: (at: number) => number,
): number {
  const start = blanksEnd(bytes, from);
  if (bytes[start] === close) return start + 1;
  let at = itemEnd(start);
  while (at >= 0 && bytes[at] === COMMA) at = itemEnd(at + 1);
  return at >= 0 && bytes[at] === close ? at + 1 : -1;
}

/** From behind the opening quote to behind the closing one; escapes but those by number are taken. */
function stringEnd(bytes: Buffer, from: number): number {
  let at = from;
  let isAscii = true;
  for (let byte = bytes[at]; byte !== QUOTE; byte = bytes[at]) {
    if (byte === undefined || byte < 32) return -1;
    if (byte === BACKSLASH && !ESCAPES.has(bytes[++at] ?? 0)) return -1;
    if (byte > 127) isAscii = false;
    at++;
  }
  return isAscii || isUtf8(bytes.subarray(from, at)) ? at + 1 : -1;
}

function digitsEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at] ?? 0; byte >= 48 && byte <= 57; byte = bytes[at] ?? 0) at++;
  return at > from ? at : -1;
}

function blanksEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte === 32 || byte === 10 || byte === 13 || byte === 9;) {
    byte = bytes[++at];
  }
  return at;
}
