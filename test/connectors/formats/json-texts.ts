/**
 * Texts at and beyond the edges of JSON, made from records by a seed, and the comparison of a reader
 * with `JSON.parse` and the check behind it, which say what each text means.
 */
import { isUtf8 } from 'node:buffer';
import type { Schema } from '../../../api/schema.js';
import { FormatError } from '../../../connectors/formats/format.js';
import { compileJsonConverter } from '../../../connectors/formats/json-converter.js';

export type Random = () => number;

/** Numbers in [0, 1) that depend on the seed alone. */
export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<V>(random: Random, values: readonly V[]): V {
  return values[Math.floor(random() * values.length)] as V;
}

const ODD_NUMBERS = (
  '-0 -0.0 0.0 00 01 -01 -1 1. .5 -.5 +1 1e5 1E+2 1e-7 1e 1e+ 0e0 0x10 1e400 -1e400 NaN Infinity - ' +
  '999999999999999 1000000000000000 9007199254740993 123456789012345678 0.1234567890123456 ' +
  '0.3 1.1 123.456 -79.95 48.03511 2147483647 2147483648 -2147483648 -2147483649 0.000000000000001 1234567.12345678 5e-324'
).split(' ');
const ODD_VALUES = [
  ...ODD_NUMBERS,
  ...'null true false "" [] {} [1] {"a":1} "NaN" "-Infinity" "5" "-9223372036854775808" "x"'.split(
    ' ',
  ),
  '"9223372036854775808"',
  '"2024-02-29T23:59:59.5Z"',
  '"2023-02-29T00:00:00Z"',
  '"AQI="',
  '"A"',
  '"\\u0041"',
  '"\\x"',
  '"\\ud800"',
  '"tab\there"',
  '"größe"',
  '"日本語"',
  'tru',
];
const ODD_CHARACTERS = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '0',
  '7',
  '-',
  '.',
  'e',
  ' ',
].concat(['\n', '\t', '\u0000', '\u001f', '\u007f', 'ÿ', 'Ģ', '\ud800', '\ufeff', 'n', 'u']);

/** A change of the spelling that keeps the value, or of the value itself, or one that breaks it. */
export function variantOf(random: Random, text: string): string {
  const way = Math.floor(random() * 10);
  const at = Math.floor(random() * (text.length + 1));
  switch (way) {
    case 0:
      return text;
    case 1:
      return text.slice(0, at) + pick(random, ODD_CHARACTERS) + text.slice(at);
    case 2:
      return text.slice(0, at) + pick(random, ODD_CHARACTERS) + text.slice(at + 1);
    case 3:
      return text.slice(0, at) + text.slice(at + 1 + Math.floor(random() * 3));
    case 4:
      return text.slice(0, at);
    case 5:
      return replaceOne(random, text, /-?\d[\d.eE+-]*/g, ODD_NUMBERS);
    case 6:
      return replaceOne(random, text, /(?<=[:,[])(?:"[^"\\]*"|[\w.+-]+)/g, ODD_VALUES);
    case 7:
      return respelled(text, random);
    case 8:
      return replaceOne(random, text, /[{,](?=")/g, [
        `{"extra":${pick(random, ODD_VALUES)},`,
        `,"extra":${pick(random, ODD_VALUES)},`,
        `,"a":${pick(random, ODD_VALUES)},`,
      ]);
    default:
      return spaced(text);
  }
}

function replaceOne(random: Random, text: string, what: RegExp, by: readonly string[]): string {
  const found = pick(random, [...text.matchAll(what)]) as RegExpMatchArray | undefined;
  if (found === undefined) return text;
  const at = found.index ?? 0;
  return text.slice(0, at) + pick(random, by) + text.slice(at + found[0].length);
}

/** With a blank behind each colon and comma, as some writers have it. */
export function spaced(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|[:,]/g, (token) =>
    token === ':' || token === ',' ? `${token} ` : token,
  );
}

/** The properties of all objects turned around, when the text is JSON. */
function respelled(text: string, random: Random): string {
  const isNested = random() < 0.5;
  try {
    return JSON.stringify(
      JSON.parse(text, function (this: unknown, key, value: unknown) {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
        return isNested || key === '' ? Object.fromEntries(Object.entries(value).reverse()) : value;
      }),
    );
  } catch {
    return text;
  }
}

/** What comes of a text, for comparison: the value with all that tells it apart, or the reason. */
export function outcomeOf(read: () => unknown): string {
  try {
    return faithfulText(read());
  } catch (error) {
    if (error instanceof FormatError) return `FormatError: ${error.message}`;
    throw error;
  }
}

export function slowReader<T>(schema: Schema<T>): (bytes: Buffer) => T {
  const convert = compileJsonConverter(schema, 'the value');
  return (bytes) => {
    if (!isUtf8(bytes)) throw new FormatError('not UTF-8');
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch (error) {
      throw new FormatError(`not JSON: ${(error as Error).message}`);
    }
    return convert(value);
  };
}

/** Tells apart what JSON does not: zeros, bigints, maps, bytes, and the order of properties. */
export function faithfulText(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return `${String(value)}n`;
    case 'object':
      break;
    default:
      return JSON.stringify(value) ?? 'undefined';
  }
  if (value === null) return 'null';
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return `[${value.map(faithfulText).join()}]`;
  const [kind, entries] =
    value instanceof Map
      ? ['Map', [...(value as Map<string, unknown>)]]
      : ['', Object.entries(value)];
  const texts = (entries as [string, unknown][]).map(
    ([key, item]) => `${JSON.stringify(key)}:${faithfulText(item)}`,
  );
  return `${String(kind)}{${texts.join()}}`;
}
