/**
 * Protobuf's binary encoding to records, compiled for one message and our schema into one function. A
 * message that comes in parts is put together, as the format wants it: its fields are variables of the
 * function until the message around it has ended. It must never let a value through that our schema does
 * not describe: records go to the codec unchecked.
 */
import { compileFunction } from 'node:vm';
import { t, type Schema } from '../../api/schema.js';
import { GeneratedSource, quote } from '../../core/generated-source.js';
import { joinPath } from '../../core/schema-text.js';
import { FormatError } from './format.js';
import type { ProtoField, ProtoMessage, ProtoType } from './protobuf-type.js';
import { readTimestamp, skipField, tagOf, wireTypeOf, WIRE_LENGTH } from './protobuf-wire.js';
import type { WireReader } from './wire-reader.js';

/** What the reader makes of the message between where it stands and its end. */
export type ReadProtobuf = (reader: WireReader) => unknown;

const INT64_MAX = 2n ** 63n - 1n;

const runtime = {
  skipField,
  readTimestamp,
  absent(path: string): never {
    throw new FormatError(`field '${path}' is absent`);
  },
  exact(value: number): number {
    if (Number.isSafeInteger(value)) return value;
    throw new FormatError(`${String(value)} is beyond 2^53, which needs t.int64`);
  },
  positive(value: bigint): bigint {
    if (value >= 0n && value <= INT64_MAX) return value;
    throw new FormatError(`${String(BigInt.asUintN(64, value))} is beyond 2^63`);
  },
  symbol(names: ReadonlyMap<number, string>, number: number): string {
    const name = names.get(number);
    if (name !== undefined) return name;
    throw new FormatError(`the number ${String(number)}, which the enum does not have`);
  },
};

export function compileProtobufReader(message: ProtoMessage, schema: Schema): ReadProtobuf {
  const source = new ReaderSource();
  const result = source.message(message, schema, '');
  const body = `'use strict';
const { ${Object.keys(runtime).join(', ')} } = runtime;
return function read(reader) {
${source.toString()}
return ${result};
};`;
  const factory = compileFunction(body, ['runtime', 'enums'], {
    filename: 'millrace:protobuf-reader',
  }) as (...names: readonly unknown[]) => ReadProtobuf;
  return factory(runtime, source.enums);
}

/** A field with the variable that holds what was read of it. */
interface Slot {
  readonly field: ProtoField;
  readonly schema: Schema;
  readonly path: string;
  readonly variable: string;
  /** What the variable holds before the field comes. */
  readonly initial: string;
  /** Of a single message, whose variable says whether it came. */
  readonly parts: readonly Slot[] | undefined;
}

class ReaderSource extends GeneratedSource {
  readonly enums: ReadonlyMap<number, string>[] = [];

  /** Reads to the reader's end. */
  message(message: ProtoMessage, schema: Schema, path: string): string {
    const slots = this.slots(message.fields, fieldsOf(schema), path);
    this.declare(slots);
    this.loop(slots);
    return this.build(slots);
  }

  private slots(
    fields: readonly ProtoField[],
    schemas: Readonly<Record<string, Schema>>,
    path: string,
  ): Slot[] {
    return Object.entries(schemas).flatMap(([name, schema]) => {
      const field = fields.find((one) => one.name === name);
      return field === undefined ? [] : [this.slot(field, schema, joinPath(path, name))];
    });
  }

  private slot(field: ProtoField, schema: Schema, path: string): Slot {
    const variable = this.fresh('v');
    const { type, shape, hasPresence } = field;
    const own = valueOf(schema);
    if (shape === 'repeated') {
      return { field, schema, path, variable, initial: '[]', parts: undefined };
    }
    if (shape === 'map') {
      return { field, schema, path, variable, initial: 'new Map()', parts: undefined };
    }
    if (type.kind === 'message') {
      const parts = this.slots(type.fields, fieldsOf(own), path);
      return { field, schema, path, variable, initial: String(!hasPresence), parts };
    }
    const initial = hasPresence ? 'undefined' : defaultOf(type, own);
    return { field, schema, path, variable, initial, parts: undefined };
  }

  private declare(slots: readonly Slot[]): void {
    for (const { variable, initial, parts } of slots) {
      this.line(`let ${variable} = ${initial};`);
      if (parts !== undefined) this.declare(parts);
    }
  }

  private loop(slots: readonly Slot[]): void {
    this.line('while (reader.at < reader.end) {');
    this.line('const tag = reader.unsigned();');
    this.line('switch (tag) {');
    for (const slot of slots) this.cases(slot, slots);
    this.line('default: skipField(reader, tag, 0);');
    this.line('} }');
  }

  private cases(slot: Slot, siblings: readonly Slot[]): void {
    const { field, schema, path, variable, parts } = slot;
    const { number, type, shape } = field;
    const wireType = wireTypeOf(type);
    if (shape === 'repeated' && wireType !== WIRE_LENGTH) {
      this.line(`case ${String(tagOf(number, WIRE_LENGTH))}: {`);
      this.within(() => {
        this.line('while (reader.at < reader.end) {');
        this.line(`${variable}.push(${this.value(type, itemsOf(schema), path)});`);
        this.line('}');
      });
      this.line('break; }');
    }
    const tag = String(tagOf(number, shape === 'map' ? WIRE_LENGTH : wireType));
    this.line(`case ${tag}: {`);
    if (shape === 'map') this.mapEntry(slot);
    else if (shape === 'repeated') {
      this.line(`${variable}.push(${this.value(type, itemsOf(schema), path)});`);
    } else if (parts === undefined) {
      this.line(`${variable} = ${this.value(type, valueOf(schema), path)};`);
    } else {
      if (field.oneof !== undefined) {
        this.line(`if (!${variable}) {`);
        this.reset(parts);
        this.line('}');
      }
      this.line(`${variable} = true;`);
      this.within(() => this.loop(parts));
    }
    if (field.oneof !== undefined) {
      this.reset(
        siblings.filter((other) => other !== slot && other.field.oneof === field.oneof),
        'alone',
      );
    }
    this.line('break; }');
  }

  /** An entry is a message of a key and a value, each of which may be missing. */
  private mapEntry({ field, schema, path, variable }: Slot): void {
    const single = { shape: 'single', hasPresence: false, oneof: undefined } as const;
    const entry: readonly Slot[] = [
      this.slot({ ...field, ...single, number: 1, type: { kind: 'string' } }, t.string, path),
      this.slot({ ...field, ...single, number: 2 }, itemsOf(schema), `${path}{}`),
    ];
    this.declare(entry);
    this.within(() => this.loop(entry));
    const [key, value] = entry.map((slot) => this.built(slot));
    this.line(`${variable}.set(${key ?? ''}, ${value ?? ''});`);
  }

  private reset(slots: readonly Slot[], which: 'alone' | 'all' = 'all'): void {
    for (const { variable, initial, parts } of slots) {
      this.line(`${variable} = ${initial};`);
      if (parts !== undefined && which === 'all') this.reset(parts);
    }
  }

  /** Required fields stand in the literal; an absent optional leaves no property behind. */
  private build(slots: readonly Slot[]): string {
    const properties: string[] = [];
    const optionals: (readonly [string, string])[] = [];
    for (const slot of slots) {
      const result = this.built(slot);
      if (slot.schema.kind === 'optional') optionals.push([slot.field.name, result]);
      else properties.push(`${quote(slot.field.name)}: ${result}`);
    }
    const output = this.fresh('r');
    this.line(`const ${output} = { ${properties.join(', ')} };`);
    for (const [name, result] of optionals) {
      this.line(`if (${result} !== undefined) ${output}[${quote(name)}] = ${result};`);
    }
    return output;
  }

  private built({ field, schema, path, variable, parts }: Slot): string {
    const isOptional = schema.kind === 'optional';
    if (parts === undefined) {
      if (!isOptional && field.shape === 'single' && field.hasPresence) {
        this.line(`if (${variable} === undefined) absent(${quote(path)});`);
      }
      return variable;
    }
    if (!isOptional) {
      this.line(`if (!${variable}) absent(${quote(path)});`);
      return this.build(parts);
    }
    const output = this.fresh('r');
    this.line(`let ${output};`);
    this.line(`if (${variable}) {`);
    this.line(`${output} = ${this.build(parts)};`);
    this.line('}');
    return output;
  }

  /** Reads what a length says of what follows. */
  private within(body: () => void): void {
    const [length, end] = [this.fresh('n'), this.fresh('e')];
    this.line(`const ${length} = reader.length(), ${end} = reader.end;`);
    this.line(`reader.end = reader.at + ${length};`);
    body();
    this.line(`reader.end = ${end};`);
  }

  /** The expression that reads a value; of a message with all that it has. */
  private value(type: ProtoType, schema: Schema, path: string): string {
    switch (type.kind) {
      case 'message': {
        let output = '';
        this.within(() => {
          output = this.message(type, schema, path);
        });
        return output;
      }
      case 'timestamp':
        return 'readTimestamp(reader)';
      case 'enum':
        this.enums.push(type.names);
        return `symbol(enums[${String(this.enums.length - 1)}], reader.low32())`;
      default:
        return scalar(type.kind, schema.kind);
    }
  }
}

function scalar(
  kind: Exclude<ProtoType['kind'], 'message' | 'timestamp' | 'enum'>,
  as: Schema['kind'],
): string {
  const isBigint = as === 'int64';
  switch (kind) {
    case 'double':
    case 'float':
      return `reader.${kind}()`;
    case 'int32':
      return 'reader.low32()';
    case 'uint32':
      return '(reader.low32() >>> 0)';
    case 'sint32':
      return 'reader.zigzagInt32()';
    case 'fixed32':
      return 'reader.fixedUint32()';
    case 'sfixed32':
      return 'reader.fixedInt32()';
    case 'int64':
      return isBigint ? 'reader.signedBigint()' : 'exact(reader.signed())';
    case 'uint64':
      return isBigint ? 'positive(reader.unsignedBigint())' : 'exact(reader.unsigned())';
    case 'sint64':
      return isBigint ? 'reader.zigzagBigint()' : 'exact(reader.zigzag())';
    case 'fixed64':
      return isBigint
        ? 'positive(reader.fixedInt64())'
        : 'exact(Number(positive(reader.fixedInt64())))';
    case 'sfixed64':
      return isBigint ? 'reader.fixedInt64()' : 'exact(Number(reader.fixedInt64()))';
    case 'bool':
      return '(reader.unsigned() !== 0)';
    case 'string':
      return 'reader.text(reader.length())';
    case 'bytes':
      return 'reader.bytes(reader.length())';
  }
}

/** What stands for a value that was left out. */
function defaultOf(type: ProtoType, schema: Schema): string {
  if (type.kind === 'enum') return quote(type.names.get(0) ?? [...type.names.values()][0] ?? '');
  switch (schema.kind) {
    case 'string':
      return "''";
    case 'boolean':
      return 'false';
    case 'int64':
      return '0n';
    case 'bytes':
      return 'new Uint8Array(0)';
    default:
      return '0';
  }
}

function valueOf(schema: Schema): Schema {
  return schema.kind === 'optional' ? schema.value : schema;
}

function itemsOf(schema: Schema): Schema {
  if (schema.kind === 'array') return schema.items;
  return schema.kind === 'map' ? schema.values : schema;
}

function fieldsOf(schema: Schema): Readonly<Record<string, Schema>> {
  return schema.kind === 'record' ? schema.fields : {};
}
