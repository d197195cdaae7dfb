/**
 * Records to Protobuf's binary encoding, compiled for one message and our schema into one function that
 * checks as it writes. It must never write a value that a reader of the same message would refuse.
 */
import { compileFunction } from 'node:vm';
import type { Schema } from '../../api/schema.js';
import { GeneratedSource, quote, readField } from '../../core/generated-source.js';
import { joinPath } from '../../core/schema-text.js';
import type { ProtoField, ProtoMessage, ProtoType } from './protobuf-type.js';
import { tagOf, wireTypeOf, WIRE_LENGTH, writeTimestamp } from './protobuf-wire.js';
import { misfit, MismatchSignal } from './record-mismatch.js';
import type { WireWriter } from './wire-writer.js';

/** @throws MismatchSignal or MillraceError SCHEMA_MISMATCH when our schema does not describe the record */
export type WriteProtobuf = (record: unknown, writer: WireWriter) => void;

const runtime = {
  misfit,
  writeTimestamp,
  fail(): never {
    throw new MismatchSignal();
  },
};

/** Fields that the schema leaves out are left out of the message. */
export function compileProtobufWriter(message: ProtoMessage, schema: Schema): WriteProtobuf {
  const source = new WriterSource();
  source.message(message, schema, 'record', '');
  const body = `'use strict';
const { ${Object.keys(runtime).join(', ')} } = runtime;
return function write(record, writer) {
${source.toString()}
};`;
  const factory = compileFunction(body, ['runtime'], {
    filename: 'millrace:protobuf-writer',
  }) as (names: typeof runtime) => WriteProtobuf;
  return factory(runtime);
}

class WriterSource extends GeneratedSource {
  message(message: ProtoMessage, schema: Schema, input: string, path: string): void {
    this.check(`typeof ${input} !== 'object' || ${input} === null || Array.isArray(${input})`);
    if (schema.kind !== 'record') return;
    const ofGroups = new Map<string, string[]>();
    // In the order of the message, as other writers have it.
    for (const field of message.fields) {
      const own = schema.fields[field.name];
      if (own === undefined) continue;
      const value = this.fresh('v');
      this.line(`const ${value} = ${readField(input, field.name)};`);
      this.field(field, own, value, joinPath(path, field.name));
      if (field.oneof === undefined) continue;
      ofGroups.set(field.oneof, [...(ofGroups.get(field.oneof) ?? []), value]);
    }
    for (const [oneof, values] of ofGroups) {
      if (values.length < 2) continue;
      const count = values.map((value) => `(${value} === undefined ? 0 : 1)`).join(' + ');
      this.misfit(`${count} > 1`, path, `one field of ${oneof}`, count);
    }
  }

  private field(field: ProtoField, schema: Schema, input: string, path: string): void {
    switch (field.shape) {
      case 'repeated':
        return this.repeated(field, schema, input, path);
      case 'map':
        return this.map(field, schema, input, path);
      case 'single':
    }
    if (schema.kind === 'optional') {
      this.line(`if (${input} !== undefined) {`);
      this.tagged(field, schema.value, input, path);
      return this.line('}');
    }
    if (field.hasPresence) return this.tagged(field, schema, input, path);
    // The default is what an absent one is read as.
    this.checkValue(field.type, schema, input, path);
    this.line(`if (${isOther(field.type, schema, input)}) {`);
    this.tag(field, wireTypeOf(field.type));
    this.put(field.type, schema, input, path);
    this.line('}');
  }

  private repeated(field: ProtoField, schema: Schema, input: string, path: string): void {
    this.check(`!Array.isArray(${input})`);
    if (schema.kind !== 'array') return;
    const item = this.fresh('v');
    const each = (body: () => void): void => {
      this.line(`for (const ${item} of ${input}) {`);
      body();
      this.line('}');
    };
    if (!field.isPacked || wireTypeOf(field.type) === WIRE_LENGTH) {
      return each(() => this.tagged(field, schema.items, item, `${path}[]`));
    }
    this.line(`if (${input}.length > 0) {`);
    this.tag(field, WIRE_LENGTH);
    this.within(() => {
      each(() => {
        this.checkValue(field.type, schema.items, item, `${path}[]`);
        this.put(field.type, schema.items, item, `${path}[]`);
      });
    });
    this.line('}');
  }

  private map(field: ProtoField, schema: Schema, input: string, path: string): void {
    this.check(`!(${input} instanceof Map)`);
    if (schema.kind !== 'map') return;
    const [key, item] = [this.fresh('k'), this.fresh('v')];
    this.line(`for (const [${key}, ${item}] of ${input}) {`);
    this.check(`typeof ${key} !== 'string'`);
    this.tag(field, WIRE_LENGTH);
    this.within(() => {
      this.line(`writer.unsigned(${String(tagOf(1, WIRE_LENGTH))}); writer.text(${key}, 1);`);
      this.tagged({ ...field, number: 2 }, schema.values, item, `${path}{}`);
    });
    this.line('}');
  }

  private tagged(field: ProtoField, schema: Schema, input: string, path: string): void {
    this.checkValue(field.type, schema, input, path);
    this.tag(field, wireTypeOf(field.type));
    this.put(field.type, schema, input, path);
  }

  private tag({ number }: ProtoField, wireType: number): void {
    this.line(`writer.unsigned(${String(tagOf(number, wireType))});`);
  }

  private within(body: () => void): void {
    const start = this.fresh('s');
    this.line(`const ${start} = writer.open();`);
    body();
    this.line(`writer.close(${start});`);
  }

  private checkValue(type: ProtoType, schema: Schema, input: string, path: string): void {
    switch (schema.kind) {
      case 'string':
        this.check(`typeof ${input} !== 'string'`);
        break;
      case 'boolean':
        this.check(`typeof ${input} !== 'boolean'`);
        break;
      case 'int32':
        this.check(`(${input} | 0) !== ${input}`);
        break;
      case 'timestamp':
        this.check(`!Number.isSafeInteger(${input})`);
        break;
      case 'float64':
        this.check(`typeof ${input} !== 'number'`);
        if (type.kind !== 'double' && type.kind !== 'float') {
          this.misfit(`!Number.isSafeInteger(${input})`, path, 'an integer up to 2^53', input);
        }
        break;
      case 'int64':
        this.check(`typeof ${input} !== 'bigint' || BigInt.asIntN(64, ${input}) !== ${input}`);
        break;
      case 'bytes':
        this.check(`!(${input} instanceof Uint8Array)`);
        break;
      default:
    }
    if (type.kind === 'uint64' || type.kind === 'fixed64') {
      this.misfit(`${input} < 0`, path, 'an integer that is not negative', input);
    } else if (type.kind === 'uint32' || type.kind === 'fixed32') {
      this.misfit(`${input} < 0 || ${input} > 4294967295`, path, 'an integer below 2^32', input);
    }
  }

  private put(type: ProtoType, schema: Schema, input: string, path: string): void {
    const isBigint = schema.kind === 'int64';
    const big = isBigint ? input : `BigInt(${input})`;
    switch (type.kind) {
      case 'message':
        return this.within(() => this.message(type, schema, input, path));
      case 'timestamp':
        return this.line(`writeTimestamp(writer, ${input});`);
      case 'enum':
        this.line(`switch (${input}) {`);
        for (const [name, number] of type.numbers) {
          this.line(`case ${quote(name)}: writer.signed(${String(number)}); break;`);
        }
        return this.line(
          `default: misfit(${quote(path)}, ${quote([...type.numbers.keys()].join(' | '))}, ${input}); }`,
        );
      case 'double':
      case 'float':
        return this.line(`writer.${type.kind}(${input});`);
      case 'int32':
        return this.line(`writer.signed(${input});`);
      case 'uint32':
        return this.line(`writer.unsigned(${input});`);
      case 'sint32':
        return this.line(`writer.zigzag(${input});`);
      case 'fixed32':
      case 'sfixed32':
        return this.line(`writer.fixedInt32(${input});`);
      case 'int64':
      case 'uint64':
        return this.line(
          isBigint ? `writer.unsignedBigint(${input});` : `writer.signed(${input});`,
        );
      case 'sint64':
        return this.line(isBigint ? `writer.zigzagBigint(${input});` : `writer.zigzag(${input});`);
      case 'fixed64':
      case 'sfixed64':
        return this.line(`writer.fixedInt64(${big});`);
      case 'bool':
        return this.line(`writer.byte(${input} ? 1 : 0);`);
      case 'string':
        return this.line(`writer.text(${input}, 1);`);
      case 'bytes':
        return this.line(`writer.unsigned(${input}.length); writer.bytes(${input});`);
    }
  }

  /** Against our schema, which then finds the words. */
  private check(mismatch: string): void {
    this.line(`if (${mismatch}) fail();`);
  }

  /** Against what Protobuf can say less of than our schema. */
  private misfit(mismatch: string, path: string, expected: string, input: string): void {
    this.line(`if (${mismatch}) misfit(${quote(path)}, ${quote(expected)}, ${input});`);
  }
}

/** Whether a value is another than that which an absent field is read as. */
function isOther(type: ProtoType, schema: Schema, input: string): string {
  if (type.kind === 'enum') return `${input} !== ${quote(type.names.get(0) ?? '')}`;
  switch (schema.kind) {
    case 'string':
      return `${input} !== ''`;
    case 'boolean':
      return input;
    case 'int64':
      return `${input} !== 0n`;
    case 'bytes':
      return `${input}.length > 0`;
    case 'float64':
      return type.kind === 'double' || type.kind === 'float'
        ? `!Object.is(${input}, 0)`
        : `${input} !== 0`;
    default:
      return `${input} !== 0`;
  }
}
