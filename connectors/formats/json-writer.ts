/**
 * Records as JSON in a buffer, compiled per schema into one function that checks as it writes. It
 * must never write a value that the parser of the same schema would refuse.
 */
import { compileFunction } from 'node:vm';
import { GeneratedSource, quote, readField } from '../../core/generated-source.js';
import { MillraceError } from '../../core/errors.js';
import type { Schema, UnionNode } from '../../core/schema.js';
import { describeValue } from '../../core/schema-text.js';
import { validate } from '../../core/schema-validate.js';
import { put, putFloat, putInteger, putText } from './json-put.js';

/** Thrown by the generated function as soon as a check fails; `validate` then finds the words. */
class MismatchSignal extends Error {}

const runtime = {
  fail(): never {
    throw new MismatchSignal();
  },
  put,
  putText,
  putInteger,
  putFloat,
  int64Text: (value: bigint): string =>
    value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
      ? value.toString()
      : `"${value.toString()}"`,
  base64Text: (value: Uint8Array): string =>
    `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`,
};

type Write<T> = (record: T, bytes: Buffer, view: DataView, start: number) => number;

const TEXT_BYTES_MIN = 1024;

export class JsonWriter<T> {
  readonly #schema: Schema<T>;
  readonly #write: Write<T>;
  #target: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Where text is made. */
  #scratch: Buffer = Buffer.allocUnsafeSlow(TEXT_BYTES_MIN);

  constructor(schema: Schema<T>) {
    this.#schema = schema;
    this.#write = compile(schema);
  }

  /**
   * Writes the record into `target` from `start`.
   * @returns the end, or -1 when the room may be too small
   * @throws MillraceError SCHEMA_MISMATCH naming the field
   */
  encode(record: T, target: Buffer, start: number): number {
    if (target !== this.#target) {
      this.#target = target;
      this.#view = new DataView(target.buffer, target.byteOffset, target.byteLength);
    }
    try {
      return this.#write(record, target, this.#view, start);
    } catch (error) {
      if (error instanceof MismatchSignal) throw mismatch(validate(this.#schema, record));
      throw error;
    }
  }

  /** The record's text. @throws MillraceError SCHEMA_MISMATCH naming the field */
  stringify(record: T): string {
    let end = this.encode(record, this.#scratch, 0);
    while (end < 0) {
      this.#scratch = Buffer.allocUnsafeSlow(this.#scratch.length * 2);
      end = this.encode(record, this.#scratch, 0);
    }
    return this.#scratch.toString('utf8', 0, end);
  }
}

function compile<T>(schema: Schema<T>): Write<T> {
  const source = new WriterSource();
  source.value(schema, 'value');
  source.flush();
  const body = `'use strict';
const { ${Object.keys(runtime).join(', ')} } = runtime;
return function write(value, bytes, view, start) {
const limit = bytes.length;
let p = start;
${source.toString()}
return p;
};`;
  const factory = compileFunction(body, ['runtime'], { filename: 'millrace:json-writer' });
  return (factory as (names: typeof runtime) => Write<T>)(runtime);
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
      if (typeof value === 'bigint') return JSON.parse(runtime.int64Text(value)) as unknown;
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

/** Writes the statements that put a value at `p`; text that is known waits until it is flushed. */
class WriterSource extends GeneratedSource {
  #text = '';

  value(schema: Schema, input: string): void {
    switch (schema.kind) {
      case 'string':
        return this.put(`typeof ${input} !== 'string'`, 'putText', input);
      case 'float64':
        return this.put(`typeof ${input} !== 'number'`, 'putFloat', input);
      case 'int32':
        return this.put(`(${input} | 0) !== ${input}`, 'putInteger', input);
      case 'timestamp':
        return this.put(`!Number.isSafeInteger(${input})`, 'putInteger', input);
      case 'int64':
        return this.put(
          `typeof ${input} !== 'bigint' || BigInt.asIntN(64, ${input}) !== ${input}`,
          'put',
          `int64Text(${input})`,
        );
      case 'boolean':
        return this.put(`typeof ${input} !== 'boolean'`, 'put', `(${input} ? 'true' : 'false')`);
      case 'bytes':
        return this.put(`!(${input} instanceof Uint8Array)`, 'put', `base64Text(${input})`);
      case 'literal':
        return this.put(
          schema.values.map((value) => `${input} !== ${quote(value)}`).join(' && '),
          'putText',
          input,
        );
      case 'optional':
        return this.block(
          `if (${input} === undefined)`,
          () => this.text('null'),
          () => this.value(schema.value, input),
        );
      case 'array': {
        this.check(`!Array.isArray(${input})`);
        const index = this.fresh('i');
        this.text('[');
        this.block(`for (let ${index} = 0; ${index} < ${input}.length; ${index}++)`, () => {
          this.block(`if (${index} > 0)`, () => this.text(','));
          this.value(schema.items, this.read(`${input}[${index}]`));
        });
        return this.text(']');
      }
      case 'map': {
        this.check(`!(${input} instanceof Map)`);
        const comma = this.openComma();
        const [key, item] = [this.fresh('k'), this.fresh('v')];
        this.block(`for (const [${key}, ${item}] of ${input})`, () => {
          this.putComma(comma);
          this.put(`typeof ${key} !== 'string'`, 'putText', key);
          this.text(':');
          this.value(schema.values, item);
        });
        return this.close(comma);
      }
      case 'record':
        this.checkObject(input);
        return this.record(schema.fields, input, undefined);
      case 'union':
        return this.union(schema, input);
    }
  }

  /** Puts what is known to stand here. */
  flush(): void {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    if (bytes.length === 0) return;
    this.line(`if (p + ${String(bytes.length)} > limit) return -1;`);
    if (bytes.length < 4) {
      bytes.forEach((byte, at) => this.line(`bytes[p + ${String(at)}] = ${String(byte)};`));
    }
    // Words of four bytes, the last one over a part of the one before.
    for (let at = 0; at < bytes.length && bytes.length >= 4; at += 4) {
      const from = Math.min(at, bytes.length - 4);
      this.line(`view.setInt32(p + ${String(from)}, ${String(bytes.readInt32LE(from))}, true);`);
    }
    this.line(`p += ${String(bytes.length)};`);
  }

  /** @param tag text of the first property, when the record is a variant of a union */
  private record(
    fields: Readonly<Record<string, Schema>>,
    input: string,
    tag: string | undefined,
  ): void {
    const entries = Object.entries(fields);
    const startsOpen = tag === undefined && entries[0]?.[1].kind === 'optional';
    let separator = tag === undefined ? '{' : ',';
    if (tag !== undefined) this.text(`{${tag}`);
    else if (entries.length === 0) this.text('{');
    let comma = startsOpen ? this.openComma() : undefined;
    for (const [name, field] of entries) {
      const value = this.read(readField(input, name));
      const property = (schema: Schema): void => {
        if (comma === undefined) this.text(separator);
        else this.putComma(comma);
        this.text(`${quote(name)}:`);
        this.value(schema, value);
      };
      if (field.kind === 'optional') {
        this.block(`if (${value} !== undefined)`, () => property(field.value));
      } else {
        property(field);
        comma = undefined;
        separator = ',';
      }
    }
    this.close(comma);
  }

  private union(schema: UnionNode, input: string): void {
    this.checkObject(input);
    this.flush();
    this.line(`switch (${readField(input, schema.tag)}) {`);
    for (const [name, variant] of Object.entries(schema.variants)) {
      this.block(`case ${quote(name)}:`, () => {
        this.record(variant.fields, input, `${quote(schema.tag)}:${quote(name)}`);
        this.flush();
        this.line('break;');
      });
    }
    this.line('default: fail(); }');
  }

  private text(known: string): void {
    this.#text += known;
  }

  private put(mismatch: string, put: string, input: string): void {
    this.check(mismatch);
    this.flush();
    this.line(`if ((p = ${put}(bytes, p, limit, ${input})) < 0) return -1;`);
  }

  /** Names the variable of what stands before a property where nobody knows whether it is the first. */
  private openComma(): string {
    const comma = this.fresh('s');
    this.line(`let ${comma} = 123;`);
    return comma;
  }

  private putComma(comma: string): void {
    this.flush();
    this.line(`if (p === limit) return -1;`);
    this.line(`bytes[p++] = ${comma}; ${comma} = 44;`);
  }

  private close(comma: string | undefined): void {
    if (comma !== undefined) this.block(`if (${comma} === 123)`, () => this.text('{'));
    this.text('}');
  }

  private block(opening: string, body: () => void, otherwise?: () => void): void {
    this.flush();
    this.line(`${opening} {`);
    body();
    this.flush();
    this.line('}');
    if (otherwise !== undefined) this.block('else', otherwise);
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
