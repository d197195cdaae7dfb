/**
 * Source of the scanner of one schema: a function that reads a record straight out of the bytes of
 * its JSON text, each key compared in place where a layout says it stands. It gives up, by returning
 * undefined, at anything else than the plainest spelling; the caller then reads the record slowly. So
 * it must never throw, and never make another record than the slow way makes.
 */
import { compileFunction } from 'node:vm';
import { GeneratedSource, quote } from '../../core/generated-source.js';
import { childrenOf, type Schema, type UnionNode } from '../../core/schema.js';
import { numberEnd, PLAIN_BYTES, POWERS_OF_TEN, textEnd, valueEnd } from './json-bytes.js';
import { bytesOfBase64, int64OfText } from './json-converter.js';
import { parseIsoTimestamp } from './iso-timestamp.js';

/** How the records of a stream are spelled, beyond their schema; a wrong one costs time only. */
export interface JsonLayout {
  /** A record as JSON.parse makes it: its keys are expected in its order. Undefined: the schema's. */
  readonly sample: unknown;
  /** Whether a blank stands behind every colon and comma. */
  readonly isSpaced: boolean;
}

/**
 * @param text the bytes from `start` on, a character for each byte
 * @returns undefined: to be read the slow way
 */
export type JsonScanner<T> = (
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  text: string,
) => T | undefined;

/** Beyond this the function would be too large for the engine to optimize. */
const NODES_MAX = 128;
/** Digits that a double holds whatever they are. */
const EXACT_DIGITS = 15;

const runtime = {
  plain: PLAIN_BYTES,
  powers: POWERS_OF_TEN,
  textEnd,
  numberEnd,
  valueEnd,
  parseIsoTimestamp,
  int64OfText,
  bytesOfBase64,
};

/** The source for a schema and a layout; undefined when the schema is too large. */
export function scannerSource(schema: Schema, layout: JsonLayout): string | undefined {
  if (nodesOf(schema) > NODES_MAX) return undefined;
  const source = new ScannerSource(layout.isSpaced ? ' ' : '');
  const result = source.value(schema, layout.sample);
  return `'use strict';
const { ${Object.keys(runtime).join(', ')} } = runtime;
return function scan(bytes, view, start, end, text) {
const limit = bytes.length;
let p = start, q = 0, c = 0, s = 0;
${source.toString()}
return p === end ? ${result} : undefined;
};`;
}

export function compileScanner<T>(source: string): JsonScanner<T> {
  const factory = compileFunction(source, ['runtime'], { filename: 'millrace:json-scanner' });
  return (factory as (names: typeof runtime) => JsonScanner<T>)(runtime);
}

function nodesOf(schema: Schema): number {
  return childrenOf(schema).reduce((sum, [, child]) => sum + nodesOf(child), 1);
}

/** Names in the source: p the position, q and s where something began, c the byte looked at. */
class ScannerSource extends GeneratedSource {
  constructor(private readonly blank: string) {
    super();
  }

  /** Writes what reads a value at `p`; returns the expression that holds it. */
  value(schema: Schema, sample: unknown): string {
    switch (schema.kind) {
      case 'string':
        return this.string();
      case 'boolean':
        return this.choice([
          ['true', 'true'],
          ['false', 'false'],
        ]);
      case 'literal':
        return this.choice(schema.values.map((value) => [quote(value), quote(value)]));
      case 'float64':
        return this.float();
      case 'int32': {
        const value = this.integer();
        this.giveUpIf(`(${value} | 0) !== ${value}`);
        return value;
      }
      case 'timestamp':
        return this.numberOr('parseIsoTimestamp', (number) => number);
      case 'int64':
        return this.numberOr('int64OfText', (number) => `BigInt(${number})`);
      case 'bytes': {
        const value = this.fresh('v');
        this.line(`const ${value} = bytesOfBase64(${this.string()});`);
        this.giveUpIf(`${value} === undefined`);
        return value;
      }
      case 'optional': {
        const value = this.fresh('v');
        this.line(`let ${value};`);
        this.line(`if (${this.matches('null')}) p += 4; else {`);
        this.line(`${value} = ${this.value(schema.value, sample)};`);
        this.line('}');
        return value;
      }
      case 'array': {
        const value = this.fresh('v');
        this.line(`const ${value} = [];`);
        this.list('[', ']', () => {
          const item = this.value(schema.items, Array.isArray(sample) ? sample[0] : undefined);
          this.line(`${value}.push(${item});`);
        });
        return value;
      }
      case 'map': {
        const value = this.fresh('v');
        this.line(`const ${value} = new Map();`);
        this.list('{', '}', () => {
          // Objects have their keys that are numbers first, and so has the map that is made of one.
          this.line('c = bytes[p + 1];');
          this.giveUpIf('c >= 48 && c <= 57');
          const key = this.string();
          this.take(`:${this.blank}`);
          const item = this.value(schema.values, Object.values(fieldsOf(sample) ?? {})[0]);
          this.line(`${value}.set(${key}, ${item});`);
        });
        return value;
      }
      case 'record':
        this.take('{');
        return this.record(schema.fields, sample, []);
      case 'union':
        return this.union(schema, sample);
    }
  }

  /** The properties of a record up to its end; `head` has those of the literal that stand before. */
  private record(
    fields: Readonly<Record<string, Schema>>,
    sample: unknown,
    head: readonly string[],
  ): string {
    const results = new Map<string, string>();
    // The comma before a property: known here as soon as one property is certain.
    let comma: 'none' | 'sure' | 'open' = head.length > 0 ? 'sure' : 'none';
    const count = this.fresh('n');
    this.line(`let ${count} = 0;`);
    for (const name of orderOf(fields, sample)) {
      const field = fields[name];
      const key = `${quote(name)}:${this.blank}`;
      const isSure = field !== undefined && field.kind !== 'optional';
      const text = comma === 'none' ? key : `,${this.blank}${key}`;
      const isThere =
        comma === 'open'
          ? `(${count} === 0 ? ${this.matches(key)} : ${this.matches(text)})`
          : this.matches(text);
      const length =
        comma === 'open' ? `(${count} === 0 ? ${bytesIn(key)} : ${bytesIn(text)})` : bytesIn(text);
      if (isSure) {
        this.giveUpIf(`!${isThere}`);
        this.line(`p += ${length};`);
        results.set(name, this.value(field, fieldsOf(sample)?.[name]));
        comma = 'sure';
        continue;
      }
      const result = this.fresh('v');
      this.line(`let ${result};`);
      this.line(`if (${isThere}) { p += ${length};`);
      if (comma !== 'sure') this.line(`${count} = 1;`);
      if (field === undefined) {
        this.line('p = valueEnd(bytes, p);');
        this.giveUpIf('p < 0');
      } else {
        results.set(name, result);
        this.line(`${result} = ${this.value(field, fieldsOf(sample)?.[name])};`);
      }
      this.line('}');
      if (comma === 'none') comma = 'open';
    }
    this.take('}');
    return this.build(fields, results, head);
  }

  /** In the schema's order whatever the layout's, so that all records have one shape. */
  private build(
    fields: Readonly<Record<string, Schema>>,
    results: ReadonlyMap<string, string>,
    head: readonly string[],
  ): string {
    const output = this.fresh('r');
    const names = Object.entries(fields);
    const required = names.filter(([, field]) => field.kind !== 'optional');
    const literal = required.map(([name]) => `${quote(name)}: ${results.get(name) ?? ''}`);
    this.line(`const ${output} = { ${[...head, ...literal].join(', ')} };`);
    for (const [name, field] of names) {
      const result = results.get(name) ?? '';
      if (field.kind !== 'optional') continue;
      this.line(`if (${result} !== undefined) ${output}[${quote(name)}] = ${result};`);
    }
    return output;
  }

  private union(schema: UnionNode, sample: unknown): string {
    const output = this.fresh('v');
    const tag = fieldsOf(sample)?.[schema.tag];
    this.line(`let ${output};`);
    this.take(`{${quote(schema.tag)}:${this.blank}`);
    for (const [name, variant] of Object.entries(schema.variants)) {
      const value = quote(name);
      this.line(`if (${this.matches(value)}) { p += ${bytesIn(value)};`);
      const head = [`${quote(schema.tag)}: ${value}`];
      const known = name === tag ? withoutField(sample, schema.tag) : undefined;
      this.line(`${output} = ${this.record(variant.fields, known, head)};`);
      this.line('} else');
    }
    this.line('return undefined;');
    return output;
  }

  private list(open: string, close: string, item: () => void): void {
    this.take(open);
    const at = `bytes[p] === ${bytesOf(close)}`;
    this.line(`if (${at}) p++; else for (;;) {`);
    item();
    this.line(`if (${at}) { p++; break; }`);
    this.take(`,${this.blank}`);
    this.line('}');
  }

  private string(): string {
    this.take('"');
    return this.stringRest();
  }

  /** Behind the opening quote. */
  private stringRest(): string {
    const value = this.fresh('v');
    this.line(`let ${value}; q = p; while (plain[bytes[p]] === 1) p++;`);
    this.line(`if (bytes[p] === 34) ${value} = text.substring(q - start, p - start); else {`);
    this.line('p = textEnd(bytes, p);');
    this.giveUpIf('p < 0');
    this.line(`${value} = bytes.toString('utf8', q, p); } p++;`);
    return value;
  }

  private choice(choices: readonly (readonly [text: string, value: string])[]): string {
    const output = this.fresh('v');
    this.line(`let ${output};`);
    for (const [text, value] of choices) {
      const found = `${output} = ${value}; p += ${bytesIn(text)};`;
      this.line(`if (${this.matches(text)}) { ${found} } else`);
    }
    this.line('return undefined;');
    return output;
  }

  /** An integer of few digits, or text that `parse` turns into the value. */
  private numberOr(parse: string, convert: (number: string) => string): string {
    const output = this.fresh('v');
    this.line(`let ${output};`);
    this.line('if (bytes[p] === 34) { p++;');
    this.line(`${output} = ${parse}(${this.stringRest()});`);
    this.giveUpIf(`${output} === undefined`);
    this.line(`} else {`);
    this.line(`${output} = ${convert(this.integer())};`);
    this.line('}');
    return output;
  }

  private integer(): string {
    const value = this.digits();
    this.giveUpIf(`p - q > ${String(EXACT_DIGITS)}`);
    this.line(`if (q !== s) ${value} = -${value};`);
    return value;
  }

  private float(): string {
    const value = this.digits();
    const fraction = this.fresh('f');
    this.line(`let ${fraction} = 0;`);
    this.line(`if (c === -2) { ${fraction} = ++p; ${this.digitLoop(value)}`);
    this.giveUpIf(`p === ${fraction}`);
    this.line('}');
    // With the point, a fraction is a character longer than its digits.
    this.line(`if (p - q > ${String(EXACT_DIGITS)} || c === 21 || c === 53) {`);
    this.line('p = numberEnd(bytes, s);');
    this.giveUpIf('p < 0');
    this.line(`${value} = Number(text.substring(s - start, p - start));`);
    this.line(`} else { if (${fraction} !== 0) ${value} /= powers[p - ${fraction}];`);
    this.line(`if (q !== s) ${value} = -${value}; }`);
    return value;
  }

  /** Sign to `s`, digits from `q`, and what they say without the sign; `c` is the next byte less 48. */
  private digits(): string {
    const value = this.fresh('v');
    this.line(`let ${value} = 0; s = p; if (bytes[p] === 45) p++; q = p;`);
    this.line(this.digitLoop(value));
    this.giveUpIf('p === q || (bytes[q] === 48 && p !== q + 1)');
    return value;
  }

  private digitLoop(value: string): string {
    return `while ((c = bytes[p] - 48) >= 0 && c <= 9) { ${value} = ${value} * 10 + c; p++; }`;
  }

  private take(text: string): void {
    this.giveUpIf(`!${this.matches(text)}`);
    this.line(`p += ${bytesIn(text)};`);
  }

  private giveUpIf(condition: string): void {
    this.line(`if (${condition}) return undefined;`);
  }

  /** Whether these bytes stand at `p`: words of four as long as there are any, the last one overlapping. */
  private matches(text: string): string {
    const bytes = Buffer.from(text);
    if (bytes.length < 4) {
      const each = [...bytes].map((byte, at) => `bytes[p + ${String(at)}] === ${String(byte)}`);
      return `(${each.join(' && ')})`;
    }
    const tests = [`p + ${String(bytes.length)} <= limit`];
    for (let at = 0; at < bytes.length; at += 4) {
      const from = Math.min(at, bytes.length - 4);
      const word = String(bytes.readInt32LE(from));
      tests.push(`view.getInt32(p + ${String(from)}, true) === ${word}`);
    }
    return `(${tests.join(' && ')})`;
  }
}

function bytesOf(text: string): string {
  return String(Buffer.from(text)[0]);
}

function bytesIn(text: string): string {
  return String(Buffer.byteLength(text));
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

function withoutField(value: unknown, name: string): unknown {
  return Object.fromEntries(Object.entries(fieldsOf(value) ?? {}).filter(([key]) => key !== name));
}

/** The keys of the sample, others of theirs included; fields that it lacks where the schema has them. */
function orderOf(fields: Readonly<Record<string, Schema>>, sample: unknown): readonly string[] {
  const order = Object.keys(fieldsOf(sample) ?? {});
  const known = new Set(order);
  let place = 0;
  for (const name of Object.keys(fields)) {
    if (known.has(name)) place = order.indexOf(name) + 1;
    else order.splice(place++, 0, name);
  }
  return order;
}
