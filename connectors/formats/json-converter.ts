/**
 * From what `JSON.parse` made to a record of a schema, compiled into one function that checks every
 * field and builds each record at one literal site, so that all get one hidden class. It says what
 * JSON means for a schema, and is the measure of the scanner. It must never let a value through that
 * the schema does not describe: what it returns goes to the record codec unchecked.
 */
import { compileFunction } from 'node:vm';
import type { Schema, UnionNode } from '../../core/schema.js';
import { GeneratedSource, quote, readField } from '../../core/generated-source.js';
import { describeValue, joinPath } from '../../core/schema-text.js';
import { FormatError } from './format.js';
import { parseIsoTimestamp } from './iso-timestamp.js';

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** An integer of 64 bits in digits; undefined when the text is none. */
export function int64OfText(text: string): bigint | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const value = BigInt(text);
  return value >= INT64_MIN && value <= INT64_MAX ? value : undefined;
}

/** The bytes that base64 stands for; undefined when the text is none. */
export function bytesOfBase64(text: string): Uint8Array | undefined {
  return BASE64.test(text) ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
}

/**
 * @param whole what messages call the value itself: `the line`
 * @returns a function that throws FormatError, naming the field
 */
export function compileJsonConverter<T>(schema: Schema<T>, whole: string): (value: unknown) => T {
  const source = new ConverterSource();
  const result = source.value(schema, 'value', '');
  const body = `'use strict';
const { bad, specialFloat, int64, isoTimestamp, bytes } = runtime;
return function convert(value) {
${source.toString()}
return ${result};
};`;
  const runtime = createRuntime(whole);
  const factory = compileFunction(body, ['runtime'], {
    filename: 'millrace:json-converter',
  }) as (names: typeof runtime) => (value: unknown) => T;
  return factory(runtime);
}

/** What the generated function calls for all that is not a plain check; `path` is for messages. */
function createRuntime(whole: string) {
  const bad = (path: string, expected: string, value: unknown): never => {
    const field = path === '' ? whole : `field '${path}'`;
    throw new FormatError(`${field}: expected ${expected}, got ${describeValue(value)}`);
  };
  return {
    bad,
    specialFloat(path: string, value: unknown): number {
      if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
      return bad(path, 'a number', value);
    },
    int64(path: string, value: unknown): bigint {
      if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
      const parsed = typeof value === 'string' ? int64OfText(value) : undefined;
      return parsed ?? bad(path, 'an integer of 64 bits, as a string when above 2^53', value);
    },
    isoTimestamp(path: string, value: unknown): number {
      const parsed = typeof value === 'string' ? parseIsoTimestamp(value) : undefined;
      return parsed ?? bad(path, 'a timestamp in ms or ISO 8601 with a zone', value);
    },
    bytes(path: string, value: unknown): Uint8Array {
      const parsed = typeof value === 'string' ? bytesOfBase64(value) : undefined;
      return parsed ?? bad(path, 'base64', value);
    },
  };
}

/** Writes the statements that check a value; each method returns the expression of its result. */
class ConverterSource extends GeneratedSource {
  value(schema: Schema, input: string, path: string): string {
    const at = quote(path);
    switch (schema.kind) {
      case 'string':
        return this.expect(input, `typeof ${input} !== 'string'`, at, 'a string');
      case 'boolean':
        return this.expect(input, `typeof ${input} !== 'boolean'`, at, 'true or false');
      case 'int32':
        return this.expect(input, `(${input} | 0) !== ${input}`, at, 'an integer of 32 bits');
      case 'float64':
        return this.convert(
          `typeof ${input} === 'number' ? ${input} : specialFloat(${at}, ${input})`,
        );
      case 'timestamp':
        return this.convert(
          `Number.isSafeInteger(${input}) ? ${input} : isoTimestamp(${at}, ${input})`,
        );
      case 'int64':
        return this.convert(`int64(${at}, ${input})`);
      case 'bytes':
        return this.convert(`bytes(${at}, ${input})`);
      case 'literal': {
        const others = schema.values.map((value) => `${input} !== ${quote(value)}`);
        return this.expect(input, others.join(' && '), at, schema.values.map(quote).join(' | '));
      }
      case 'optional': {
        const output = this.fresh('v');
        this.line(`let ${output};`);
        this.line(`if (${input} !== undefined && ${input} !== null) {`);
        this.line(`${output} = ${this.value(schema.value, input, path)};`);
        this.line('}');
        return output;
      }
      case 'array': {
        this.expect(input, `!Array.isArray(${input})`, at, 'an array');
        const output = this.convert(`new Array(${input}.length)`);
        const index = this.fresh('i');
        this.line(`for (let ${index} = 0; ${index} < ${input}.length; ${index}++) {`);
        const item = this.convert(`${input}[${index}]`);
        this.line(`${output}[${index}] = ${this.value(schema.items, item, `${path}[]`)};`);
        this.line('}');
        return output;
      }
      case 'map': {
        this.expectObject(input, at);
        const output = this.convert('new Map()');
        const key = this.fresh('k');
        this.line(`for (const ${key} of Object.keys(${input})) {`);
        const item = this.convert(`${input}[${key}]`);
        this.line(`${output}.set(${key}, ${this.value(schema.values, item, `${path}{}`)});`);
        this.line('}');
        return output;
      }
      case 'record':
        this.expectObject(input, at);
        return this.record(schema.fields, input, path, []);
      case 'union':
        return this.union(schema, input, path);
    }
  }

  /** Required fields stand in the literal; an absent optional leaves no property behind. */
  private record(
    fields: Readonly<Record<string, Schema>>,
    input: string,
    path: string,
    head: readonly string[],
  ): string {
    const properties = [...head];
    const optionals: (readonly [string, string])[] = [];
    for (const [name, field] of Object.entries(fields)) {
      const read = this.convert(readField(input, name));
      const result = this.value(field, read, joinPath(path, name));
      if (field.kind === 'optional') optionals.push([name, result]);
      else properties.push(`${quote(name)}: ${result}`);
    }
    const output = this.convert(`{ ${properties.join(', ')} }`);
    for (const [name, result] of optionals) {
      this.line(`if (${result} !== undefined) ${output}[${quote(name)}] = ${result};`);
    }
    return output;
  }

  private union(schema: UnionNode, input: string, path: string): string {
    this.expectObject(input, quote(path));
    const tag = this.convert(readField(input, schema.tag));
    const output = this.fresh('v');
    this.line(`let ${output};`);
    this.line(`switch (${tag}) {`);
    const names = Object.keys(schema.variants);
    for (const [name, variant] of Object.entries(schema.variants)) {
      this.line(`case ${quote(name)}: {`);
      const head = [`${quote(schema.tag)}: ${quote(name)}`];
      this.line(`${output} = ${this.record(variant.fields, input, path, head)};`);
      this.line('break; }');
    }
    const expected = quote(names.map(quote).join(' | '));
    this.line(`default: bad(${quote(joinPath(path, schema.tag))}, ${expected}, ${tag});`);
    this.line('}');
    return output;
  }

  private expectObject(input: string, at: string): void {
    const other = `typeof ${input} !== 'object' || ${input} === null || Array.isArray(${input})`;
    this.expect(input, other, at, 'an object');
  }

  private expect(input: string, other: string, at: string, expected: string): string {
    this.line(`if (${other}) bad(${at}, ${quote(expected)}, ${input});`);
    return input;
  }

  private convert(expression: string): string {
    const output = this.fresh('v');
    this.line(`const ${output} = ${expression};`);
    return output;
  }
}
