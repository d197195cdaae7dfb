/**
 * Records to Avro's binary encoding, compiled for one Avro schema and ours into one function that checks
 * as it writes. It must never write a value that a reader of the same schema would refuse.
 */
import { compileFunction } from 'node:vm';
import type { Schema } from '../../api/schema.js';
import { MillraceError } from '../../core/errors.js';
import { GeneratedSource, quote, readField } from '../../core/generated-source.js';
import { joinPath } from '../../core/schema-text.js';
import { shortName, valueBranches } from './avro-schema.js';
import type { AvroRecord, AvroType } from './avro-type.js';
import { misfit, MismatchSignal } from './record-mismatch.js';
import type { WireWriter } from './wire-writer.js';

/** @throws MismatchSignal or MillraceError SCHEMA_MISMATCH when our schema does not describe the record */
export type WriteAvro = (record: unknown, writer: WireWriter) => void;

const MICROS_PER_MS = 1000;

const runtime = {
  misfit,
  fail(): never {
    throw new MismatchSignal();
  },
  micros: (millis: number): bigint => BigInt(millis) * BigInt(MICROS_PER_MS),
};

/** @throws MillraceError SCHEMA_INVALID when the Avro schema asks for more than `schema` has */
export function compileAvroWriter(type: AvroType, schema: Schema): WriteAvro {
  const source = new WriterSource();
  source.value(type, schema, 'record', '');
  const body = `'use strict';
const { ${Object.keys(runtime).join(', ')} } = runtime;
return function write(record, writer) {
${source.toString()}
};`;
  const factory = compileFunction(body, ['runtime', 'defaults'], {
    filename: 'millrace:avro-writer',
  }) as (...names: readonly unknown[]) => WriteAvro;
  return factory(runtime, source.defaults);
}

/** Writes the statements that check and write a value. */
class WriterSource extends GeneratedSource {
  /** What is written for fields that our schema leaves out. */
  readonly defaults: Buffer[] = [];

  value(type: AvroType, schema: Schema, input: string, path: string): void {
    if (type.kind === 'union') return this.union(type.branches, schema, input, path);
    switch (type.kind) {
      case 'boolean':
        this.check(`typeof ${input} !== 'boolean'`);
        return this.line(`writer.byte(${input} ? 1 : 0);`);
      case 'int':
        this.check(`(${input} | 0) !== ${input}`);
        return this.line(`writer.zigzag(${input});`);
      case 'float':
      case 'double':
        this.check(`typeof ${input} !== 'number'`);
        return this.line(`writer.${type.kind}(${input});`);
      case 'long':
      case 'timestamp-millis':
      case 'timestamp-micros':
        return this.long(type, schema, input, path);
      case 'string':
        this.check(`typeof ${input} !== 'string'`);
        return this.line(`writer.text(${input}, 2);`);
      case 'bytes':
        this.check(`!(${input} instanceof Uint8Array)`);
        return this.line(`writer.zigzag(${input}.length); writer.bytes(${input});`);
      case 'fixed': {
        this.check(`!(${input} instanceof Uint8Array)`);
        const size = String(type.size);
        this.misfit(`${input}.length !== ${size}`, path, `${size} bytes`, input);
        return this.line(`writer.bytes(${input});`);
      }
      case 'enum': {
        this.line(`switch (${input}) {`);
        type.symbols.forEach((symbol, index) => {
          this.line(`case ${quote(symbol)}: writer.zigzag(${String(index)}); break;`);
        });
        const expected = quote(type.symbols.join(' | '));
        return this.line(`default: misfit(${quote(path)}, ${expected}, ${input}); }`);
      }
      case 'array':
        this.check(`!Array.isArray(${input})`);
        return this.blocks(`${input}.length`, () => {
          const item = this.fresh('v');
          this.line(`for (const ${item} of ${input}) {`);
          if (schema.kind === 'array') this.value(type.items, schema.items, item, `${path}[]`);
        });
      case 'map':
        this.check(`!(${input} instanceof Map)`);
        return this.blocks(`${input}.size`, () => {
          const [key, item] = [this.fresh('k'), this.fresh('v')];
          this.line(`for (const [${key}, ${item}] of ${input}) {`);
          this.check(`typeof ${key} !== 'string'`);
          this.line(`writer.text(${key}, 2);`);
          if (schema.kind === 'map') this.value(type.values, schema.values, item, `${path}{}`);
        });
      case 'record':
        this.checkObject(input);
        return this.record(type, schema.kind === 'record' ? schema.fields : {}, input, path);
      case 'null':
        return;
    }
  }

  private long(type: AvroType, schema: Schema, input: string, path: string): void {
    if (schema.kind === 'int64') {
      this.check(`typeof ${input} !== 'bigint' || BigInt.asIntN(64, ${input}) !== ${input}`);
      return this.line(`writer.zigzagBigint(${input});`);
    }
    if (schema.kind === 'timestamp') this.check(`!Number.isSafeInteger(${input})`);
    else {
      this.check(`typeof ${input} !== 'number'`);
      this.misfit(`!Number.isSafeInteger(${input})`, path, 'an integer up to 2^53', input);
    }
    if (type.kind !== 'timestamp-micros') return this.line(`writer.zigzag(${input});`);
    const micros = this.fresh('m');
    this.line(`const ${micros} = micros(${input});`);
    const isTooFar = `BigInt.asIntN(64, ${micros}) !== ${micros}`;
    this.misfit(isTooFar, path, 'a moment that microseconds reach', input);
    this.line(`writer.zigzagBigint(${micros});`);
  }

  private union(branches: readonly AvroType[], schema: Schema, input: string, path: string): void {
    if (schema.kind === 'optional') {
      const none = branches.findIndex(({ kind }) => kind === 'null');
      this.line(`if (${input} === undefined) writer.zigzag(${String(none)});`);
      this.line('else {');
      this.union(branches, schema.value, input, path);
      return this.line('}');
    }
    const values = valueBranches({ kind: 'union', branches });
    const [only] = values;
    if (values.length === 1 && only !== undefined) {
      this.line(`writer.zigzag(${String(branches.indexOf(only))});`);
      return this.value(only, schema, input, path);
    }
    if (schema.kind !== 'union') return;
    this.checkObject(input);
    this.line(`switch (${readField(input, schema.tag)}) {`);
    for (const branch of values) {
      if (branch.kind !== 'record') continue;
      const name = shortName(branch.name);
      this.line(`case ${quote(name)}: {`);
      this.line(`writer.zigzag(${String(branches.indexOf(branch))});`);
      this.record(branch, schema.variants[name]?.fields ?? {}, input, path);
      this.line('break; }');
    }
    this.line('default: fail(); }');
  }

  private record(
    type: AvroRecord,
    fields: Readonly<Record<string, Schema>>,
    input: string,
    path: string,
  ): void {
    for (const field of type.fields) {
      const schema = fields[field.name];
      const at = joinPath(path, field.name);
      if (schema !== undefined) {
        const value = this.fresh('v');
        this.line(`const ${value} = ${readField(input, field.name)};`);
        this.value(field.type, schema, value, at);
      } else if (field.default === undefined) {
        throw new MillraceError(
          'SCHEMA_INVALID',
          `field '${at}': the Avro schema has it without a default, so no record can be written; ` +
            'give the schema this field',
        );
      } else {
        this.line(`writer.bytes(defaults[${String(this.defaults.length)}]);`);
        this.defaults.push(field.default);
      }
    }
  }

  private blocks(count: string, items: () => void): void {
    this.line(`if (${count} > 0) { writer.zigzag(${count});`);
    items();
    this.line('} }');
    this.line('writer.byte(0);');
  }

  private checkObject(input: string): void {
    this.check(`typeof ${input} !== 'object' || ${input} === null || Array.isArray(${input})`);
  }

  /** Against our schema, which then finds the words. */
  private check(mismatch: string): void {
    this.line(`if (${mismatch}) fail();`);
  }

  /** Against what Avro can say less of than our schema. */
  private misfit(mismatch: string, path: string, expected: string, input: string): void {
    this.line(`if (${mismatch}) misfit(${quote(path)}, ${quote(expected)}, ${input});`);
  }
}
