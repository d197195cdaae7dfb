/**
 * Avro's binary encoding to records, compiled for one writer's schema, one reader's and ours into one
 * function: Avro's resolution is decided as it is compiled, a record is built at one literal site. It
 * must never let a value through that our schema does not describe: records go to the codec unchecked.
 */
import { compileFunction } from 'node:vm';
import type { Schema } from '../../api/schema.js';
import { GeneratedSource, quote } from '../../core/generated-source.js';
import { joinPath } from '../../core/schema-text.js';
import { shortName, variantOf } from './avro-schema.js';
import { compileSkipper, readBlockCount, type Skipper } from './avro-skipper.js';
import {
  describeAvroType,
  type AvroEnum,
  type AvroField,
  type AvroRecord,
  type AvroType,
} from './avro-type.js';
import { FormatError } from './format.js';
import { WireReader } from './wire-reader.js';

/** What the reader makes of the record that begins where it stands. */
export type ReadAvro = (reader: WireReader) => unknown;

/** Schemas that can't be resolved; `message` names the field. */
export class AvroMismatch extends Error {
  constructor(path: string, what: string) {
    super(path === '' ? what : `field '${path}': ${what}`);
  }
}

const MICROS_PER_MS = 1000;

const runtime = {
  readBlockCount,
  exact(value: number): number {
    if (Number.isSafeInteger(value)) return value;
    throw new FormatError(`${String(value)} is beyond 2^53, which needs t.int64`);
  },
  millisOfMicros(reader: WireReader): number {
    const micros = reader.zigzagBigint();
    const rest = micros % BigInt(MICROS_PER_MS);
    return Number(micros / BigInt(MICROS_PER_MS)) - (rest < 0n ? 1 : 0);
  },
  symbol(symbols: readonly (string | undefined)[], index: number): string {
    const symbol = symbols[index];
    if (symbol !== undefined) return symbol;
    throw new FormatError(`the symbol ${String(index)}, which the enum does not have`);
  },
  badBranch(path: string, branch: number): never {
    const field = path === '' ? 'the record' : `field '${path}'`;
    throw new FormatError(
      `${field} has branch ${String(branch)} of the union, which nothing reads`,
    );
  },
};

/**
 * @param writer the schema that the bytes were written with
 * @param reader the schema that `schema` was checked against
 * @throws AvroMismatch when Avro's rules can't lead from the one to the other
 */
export function compileAvroReader(writer: AvroType, reader: AvroType, schema: Schema): ReadAvro {
  const source = new ReaderSource(new Tables());
  const result = source.value(writer, reader, schema, '');
  const body = `'use strict';
const { ${Object.keys(runtime).join(', ')} } = runtime;
return function read(reader) {
${source.toString()}
return ${result};
};`;
  const factory = compileFunction(body, ['runtime', 'skips', 'symbols', 'defaults'], {
    filename: 'millrace:avro-reader',
  }) as (...names: readonly unknown[]) => ReadAvro;
  const { skips, symbols, defaults } = source.tables;
  return factory(runtime, skips, symbols, defaults);
}

/** What generated code refers to by number, and the count of its names. */
class Tables {
  readonly skips: Skipper[] = [];
  readonly symbols: (readonly (string | undefined)[])[] = [];
  readonly defaults: (() => unknown)[] = [];
  names = 0;
}

/** Writes the statements that read a value; each method returns the expression of its result. */
class ReaderSource extends GeneratedSource {
  constructor(readonly tables: Tables) {
    super();
  }

  override fresh(prefix: string): string {
    return `${prefix}${String(this.tables.names++)}`;
  }

  value(writer: AvroType, reader: AvroType, schema: Schema, path: string): string {
    if (writer.kind === 'union') return this.union(writer.branches, reader, schema, path);
    if (reader.kind === 'union') return this.branch(writer, reader.branches, schema, path);
    if (schema.kind === 'optional') return this.value(writer, reader, schema.value, path);
    if (writer.kind === 'array' && reader.kind === 'array' && schema.kind === 'array') {
      const output = this.result('[]');
      this.blocks(() => {
        const item = this.value(writer.items, reader.items, schema.items, `${path}[]`);
        this.line(`${output}.push(${item});`);
      });
      return output;
    }
    if (writer.kind === 'map' && reader.kind === 'map' && schema.kind === 'map') {
      const output = this.result('new Map()');
      this.blocks(() => {
        const key = this.result('reader.text(reader.zigzagLength())');
        const item = this.value(writer.values, reader.values, schema.values, `${path}{}`);
        this.line(`${output}.set(${key}, ${item});`);
      });
      return output;
    }
    if (writer.kind === 'record' && reader.kind === 'record') {
      if (schema.kind === 'record') return this.record(writer, reader, schema.fields, path, []);
      if (schema.kind === 'union') {
        const variant = variantOf(schema, reader);
        const head = [`${quote(schema.tag)}: ${quote(shortName(reader.name))}`];
        if (variant?.kind === 'record')
          return this.record(writer, reader, variant.fields, path, head);
      }
    }
    if (writer.kind === 'enum' && reader.kind === 'enum') return this.symbol(writer, reader);
    const expression = scalar(writer, reader, schema);
    if (expression === undefined) throw mismatch(path, writer, reader);
    return this.result(expression);
  }

  /** The writer says with each value which branch it is of; those that can't be read fail when they come. */
  private union(
    branches: readonly AvroType[],
    reader: AvroType,
    schema: Schema,
    path: string,
  ): string {
    const output = this.fresh('v');
    const branch = this.fresh('b');
    this.line(`let ${output};`);
    this.line(`const ${branch} = reader.zigzag();`);
    this.line(`switch (${branch}) {`);
    let problem: AvroMismatch | undefined;
    let readable = 0;
    branches.forEach((type, index) => {
      // Statements of a branch that turns out to be unreadable must not stay.
      const part = new ReaderSource(this.tables);
      try {
        const result = part.value(type, reader, schema, path);
        this.line(`case ${String(index)}: {`);
        this.line(part.toString());
        this.line(`${output} = ${result};`);
        this.line('break; }');
        readable++;
      } catch (error) {
        if (!(error instanceof AvroMismatch)) throw error;
        problem ??= error;
      }
    });
    if (readable === 0) throw problem ?? new AvroMismatch(path, 'a union without branches');
    this.line(`default: badBranch(${quote(path)}, ${branch});`);
    this.line('}');
    return output;
  }

  /** The branch of the reader's union that what the writer has is read as. */
  private branch(
    writer: AvroType,
    branches: readonly AvroType[],
    schema: Schema,
    path: string,
  ): string {
    if (writer.kind === 'null' && branches.some(({ kind }) => kind === 'null')) return 'undefined';
    const chosen = branchFor(writer, branches);
    if (chosen === undefined) throw mismatch(path, writer, { kind: 'union', branches });
    return this.value(writer, chosen, schema, path);
  }

  private record(
    writer: AvroRecord,
    reader: AvroRecord,
    fields: Readonly<Record<string, Schema>>,
    path: string,
    head: readonly string[],
  ): string {
    const results = new Map<string, string>();
    for (const field of writer.fields) {
      const known = readerField(reader, writer, field);
      const schema = known === undefined ? undefined : fields[known.name];
      if (known === undefined || schema === undefined) {
        this.line(`skips[${String(this.tables.skips.length)}](reader, 0);`);
        this.tables.skips.push(compileSkipper(field.type));
      } else {
        const at = joinPath(path, known.name);
        results.set(known.name, this.value(field.type, known.type, schema, at));
      }
    }
    const properties = [...head];
    const optionals: (readonly [string, string])[] = [];
    for (const [name, schema] of Object.entries(fields)) {
      const result = results.get(name) ?? this.fallback(reader, name, schema, joinPath(path, name));
      if (schema.kind === 'optional') optionals.push([name, result]);
      else properties.push(`${quote(name)}: ${result}`);
    }
    const output = this.result(`{ ${properties.join(', ')} }`);
    for (const [name, result] of optionals) {
      this.line(`if (${result} !== undefined) ${output}[${quote(name)}] = ${result};`);
    }
    return output;
  }

  /** The reader's default for a field that the writer does not have. */
  private fallback(reader: AvroRecord, name: string, schema: Schema, path: string): string {
    const field = reader.fields.find((one) => one.name === name);
    const bytes = field?.default;
    if (field === undefined || bytes === undefined) {
      throw new AvroMismatch(path, 'the writer has no such field, and it has no default');
    }
    const read = compileAvroReader(field.type, field.type, schema);
    const wire = new WireReader();
    this.tables.defaults.push(() => {
      wire.begin(bytes);
      wire.open(0, bytes.length);
      return read(wire);
    });
    return this.result(`defaults[${String(this.tables.defaults.length - 1)}]()`);
  }

  private symbol(writer: AvroEnum, reader: AvroEnum): string {
    this.tables.symbols.push(
      writer.symbols.map((symbol) => (reader.symbols.includes(symbol) ? symbol : reader.default)),
    );
    return this.result(
      `symbol(symbols[${String(this.tables.symbols.length - 1)}], reader.zigzag())`,
    );
  }

  private blocks(item: () => void): void {
    const [count, index] = [this.fresh('n'), this.fresh('i')];
    this.line(`for (let ${count}; (${count} = readBlockCount(reader)) > 0;) {`);
    this.line(`for (let ${index} = 0; ${index} < ${count}; ${index}++) {`);
    item();
    this.line('} }');
  }

  private result(expression: string): string {
    const output = this.fresh('v');
    this.line(`const ${output} = ${expression};`);
    return output;
  }
}

/** By its name, else by an alias that no field of the writer has as its name's owner. */
function readerField(
  reader: AvroRecord,
  writer: AvroRecord,
  { name }: AvroField,
): AvroField | undefined {
  const own = reader.fields.find((field) => field.name === name);
  if (own !== undefined) return own;
  return reader.fields.find(
    (field) =>
      field.aliases.includes(name) && !writer.fields.some((other) => other.name === field.name),
  );
}

/** The same type comes before one of the same name in another namespace, and that before a wider one. */
function branchFor(writer: AvroType, branches: readonly AvroType[]): AvroType | undefined {
  const ofKind = branches.filter(({ kind }) => kind === writer.kind);
  if (writer.kind === 'record' || writer.kind === 'enum' || writer.kind === 'fixed') {
    const nameOf = (branch: AvroType): string => ('name' in branch ? branch.name : '');
    return (
      ofKind.find((branch) => nameOf(branch) === writer.name) ??
      ofKind.find((branch) => shortName(nameOf(branch)) === shortName(writer.name)) ??
      // Where there is no other it was renamed.
      (ofKind.length === 1 ? ofKind[0] : undefined)
    );
  }
  return ofKind[0] ?? branches.find((branch) => isPromoted(writer, branch));
}

const LONGS: readonly AvroType['kind'][] = ['long', 'timestamp-millis', 'timestamp-micros'];
const PROMOTIONS: Readonly<Partial<Record<AvroType['kind'], readonly AvroType['kind'][]>>> = {
  int: [...LONGS, 'float', 'double'],
  long: [...LONGS, 'float', 'double'],
  'timestamp-millis': ['long'],
  'timestamp-micros': ['long'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
};

function isPromoted(writer: AvroType, reader: AvroType): boolean {
  if (writer.kind === 'fixed' && reader.kind === 'fixed') return writer.size === reader.size;
  return writer.kind === reader.kind || (PROMOTIONS[writer.kind]?.includes(reader.kind) ?? false);
}

/** The expression that reads a value without parts; undefined when the types can't be resolved. */
function scalar(writer: AvroType, reader: AvroType, schema: Schema): string | undefined {
  if (!isPromoted(writer, reader)) return undefined;
  const isInt = writer.kind === 'int';
  switch (schema.kind) {
    case 'boolean':
      return 'reader.boolean()';
    case 'int32':
      return 'reader.zigzagInt32()';
    case 'int64':
      return isInt ? 'BigInt(reader.zigzagInt32())' : 'reader.zigzagBigint()';
    case 'timestamp':
      if (reader.kind === 'timestamp-micros') return 'millisOfMicros(reader)';
      return isInt ? 'reader.zigzagInt32()' : 'exact(reader.zigzag())';
    case 'float64': {
      if (writer.kind === 'float' || writer.kind === 'double') return `reader.${writer.kind}()`;
      const integer = isInt ? 'reader.zigzagInt32()' : 'reader.zigzag()';
      if (reader.kind === 'float') return `Math.fround(${integer})`;
      return reader.kind === 'double' ? integer : `exact(${integer})`;
    }
    case 'string':
      return 'reader.text(reader.zigzagLength())';
    case 'bytes':
      if (writer.kind === 'fixed') return `reader.bytes(${String(writer.size)})`;
      return 'reader.bytes(reader.zigzagLength())';
    default:
      return undefined;
  }
}

function mismatch(path: string, writer: AvroType, reader: AvroType): AvroMismatch {
  return new AvroMismatch(
    path,
    `the writer has ${describeAvroType(writer)}, the reader ${describeAvroType(reader)}`,
  );
}
