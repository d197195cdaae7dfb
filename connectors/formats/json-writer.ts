/**
 * Records as JSON text, compiled per schema into one function that checks as it writes. It must
 * never write a value that the parser of the same schema would refuse.
 */
import { compileFunction } from 'node:vm';
import { GeneratedSource, quote, readField } from '../../core/generated-source.js';
import { MillraceError } from '../../core/errors.js';
import type { Schema, UnionNode } from '../../core/schema.js';
import { describeValue } from '../../core/schema-text.js';
import { validate } from '../../core/schema-validate.js';

/** Thrown by the generated function as soon as a check fails; `validate` then finds the words. */
class MismatchSignal extends Error {}

/** Text that JSON writes as it is; quoting it by hand is a quarter faster over a whole record. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

const runtime = {
  fail(): never {
    throw new MismatchSignal();
  },
  text: (value: string): string => (PLAIN.test(value) ? `"${value}"` : JSON.stringify(value)),
  float: (value: number): string => {
    if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
    return `"${String(value)}"`;
  },
  int64: (value: bigint): string =>
    value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
      ? value.toString()
      : `"${value.toString()}"`,
  bytes: (value: Uint8Array): string =>
    `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`,
};

/** The text of a record. @throws MillraceError SCHEMA_MISMATCH naming the field */
export type JsonWriter<T> = (record: T) => string;

export function compileJsonWriter<T>(schema: Schema<T>): JsonWriter<T> {
  const source = new WriterSource();
  source.value(schema, 'value');
  const body = `'use strict';
const { fail, text, float, int64, bytes } = runtime;
return function write(value) {
let out = '';
${source.toString()}
return out;
};`;
  const factory = compileFunction(body, ['runtime'], {
    filename: 'millrace:json-writer',
  }) as (names: typeof runtime) => JsonWriter<T>;
  const write = factory(runtime);
  return (record) => {
    try {
      return write(record);
    } catch (error) {
      if (error instanceof MismatchSignal) throw mismatch(validate(schema, record));
      throw error;
    }
  };
}

/** Writes any value that JSON can carry, and bigints, maps and bytes as with a schema. */
export function writeUntypedJson(record: unknown): string {
  const text = JSON.stringify(
    record,
    function (this: Record<string, unknown>, key, value: unknown) {
      // `value` has been through toJSON; the holder still has the original.
      const original = this[key];
      if (original instanceof Map) return Object.fromEntries(original as Map<string, unknown>);
      if (original instanceof Uint8Array) return Buffer.from(original).toString('base64');
      if (typeof value === 'bigint') return JSON.parse(runtime.int64(value)) as unknown;
      if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
      return value;
    },
  ) as string | undefined;
  if (text === undefined) throw mismatch(`expected a value of JSON, got ${describeValue(record)}`);
  return text;
}

function mismatch(problem = 'the record changed while it was written'): MillraceError {
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `can't write a record as JSON: ${problem}; correct the job or the format's schema`,
  );
}

/** Writes the statements that append a value's text to `out`. */
class WriterSource extends GeneratedSource {
  value(schema: Schema, input: string): void {
    switch (schema.kind) {
      case 'string':
        return this.append(`typeof ${input} !== 'string'`, `text(${input})`);
      case 'float64':
        return this.append(`typeof ${input} !== 'number'`, `float(${input})`);
      case 'int32':
        return this.append(`(${input} | 0) !== ${input}`, `String(${input})`);
      case 'timestamp':
        return this.append(`!Number.isSafeInteger(${input})`, `String(${input})`);
      case 'int64':
        return this.append(
          `typeof ${input} !== 'bigint' || BigInt.asIntN(64, ${input}) !== ${input}`,
          `int64(${input})`,
        );
      case 'boolean':
        return this.append(`typeof ${input} !== 'boolean'`, `(${input} ? 'true' : 'false')`);
      case 'bytes':
        return this.append(`!(${input} instanceof Uint8Array)`, `bytes(${input})`);
      case 'literal':
        return this.append(
          schema.values.map((value) => `${input} !== ${quote(value)}`).join(' && '),
          `text(${input})`,
        );
      case 'optional':
        this.line(`if (${input} === undefined) out += 'null'; else {`);
        this.value(schema.value, input);
        return this.line('}');
      case 'array': {
        this.check(`!Array.isArray(${input})`);
        const index = this.fresh('i');
        this.line(`out += '[';`);
        this.line(`for (let ${index} = 0; ${index} < ${input}.length; ${index}++) {`);
        this.line(`if (${index} > 0) out += ',';`);
        this.value(schema.items, this.read(`${input}[${index}]`));
        return this.line(`} out += ']';`);
      }
      case 'map': {
        this.check(`!(${input} instanceof Map)`);
        const separator = this.fresh('s');
        const [key, item] = [this.fresh('k'), this.fresh('v')];
        this.line(`let ${separator} = '{'; for (const [${key}, ${item}] of ${input}) {`);
        this.check(`typeof ${key} !== 'string'`);
        this.line(`out += ${separator} + text(${key}) + ':'; ${separator} = ',';`);
        this.value(schema.values, item);
        return this.line(`} out += ${separator} === '{' ? '{}' : '}';`);
      }
      case 'record':
        this.checkObject(input);
        return this.record(schema.fields, input, undefined);
      case 'union':
        return this.union(schema, input);
    }
  }

  /** @param tag text of the first property, when the record is a variant of a union */
  private record(
    fields: Readonly<Record<string, Schema>>,
    input: string,
    tag: string | undefined,
  ): void {
    // Whether a comma must come first is known here as soon as one property is certain.
    let separator = tag === undefined ? "'{'" : "','";
    const entries = Object.entries(fields);
    if (tag !== undefined) this.line(`out += ${quote(`{${tag}`)};`);
    else if (entries[0]?.[1].kind === 'optional') {
      separator = this.fresh('s');
      this.line(`let ${separator} = '{';`);
    }
    for (const [name, field] of entries) {
      const value = this.read(readField(input, name));
      const key = quote(`${quote(name)}:`);
      const isVariable = !separator.startsWith("'");
      if (field.kind === 'optional') {
        this.line(`if (${value} !== undefined) {`);
        this.line(`out += ${separator} + ${key};`);
        if (isVariable) this.line(`${separator} = ',';`);
        this.value(field.value, value);
        this.line('}');
      } else {
        this.line(`out += ${separator} + ${key};`);
        this.value(field, value);
        separator = "','";
      }
    }
    this.line(`out += ${separator} === '{' ? '{}' : '}';`);
  }

  private union(schema: UnionNode, input: string): void {
    this.checkObject(input);
    this.line(`switch (${readField(input, schema.tag)}) {`);
    for (const [name, variant] of Object.entries(schema.variants)) {
      this.line(`case ${quote(name)}: {`);
      this.record(variant.fields, input, `${quote(schema.tag)}:${quote(name)}`);
      this.line('break; }');
    }
    this.line('default: fail(); }');
  }

  private append(mismatch: string, text: string): void {
    this.check(mismatch);
    this.line(`out += ${text};`);
  }

  private checkObject(input: string): void {
    this.check(`typeof ${input} !== 'object' || ${input} === null || Array.isArray(${input})`);
  }

  private check(mismatch: string): void {
    this.line(`if (${mismatch}) fail();`);
  }

  private read(expression: string): string {
    const name = this.fresh('v');
    this.line(`const ${name} = ${expression};`);
    return name;
  }
}
