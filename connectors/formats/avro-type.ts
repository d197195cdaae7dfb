/**
 * Avro schemas as a tree of plain nodes, of which each named one exists once, so that a recursive schema
 * is a circle. avsc reads and judges the text; this is the one place that knows its classes. Defaults are
 * kept as the bytes that a writer would have left, so that they are read like any value.
 */
import avsc, { type Schema as AvscSchema, type Type } from 'avsc';
import { MillraceError } from '../../core/errors.js';

/** An Avro schema as its text or as what `JSON.parse` makes of it. */
export type AvroSchema = string | object;

export type AvroPrimitive =
  'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';
/** Longs that stand for a moment. */
export type AvroTimestamp = 'timestamp-millis' | 'timestamp-micros';

export interface AvroField {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: AvroType;
  readonly default: Buffer | undefined;
}
export interface AvroRecord {
  readonly kind: 'record';
  readonly name: string;
  readonly fields: readonly AvroField[];
}
export interface AvroEnum {
  readonly kind: 'enum';
  readonly name: string;
  readonly symbols: readonly string[];
  /** The symbol for those that a reader does not know. */
  readonly default: string | undefined;
}
export type AvroType =
  | { readonly kind: AvroPrimitive }
  | { readonly kind: AvroTimestamp }
  | { readonly kind: 'fixed'; readonly name: string; readonly size: number }
  | { readonly kind: 'array'; readonly items: AvroType }
  | { readonly kind: 'map'; readonly values: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroEnum
  | AvroRecord;

const TIMESTAMPS: readonly AvroTimestamp[] = ['timestamp-millis', 'timestamp-micros'];

/** Makes avsc keep the logical types that matter here; values stay longs. */
class TimestampType extends avsc.types.LogicalType {
  protected override _fromValue(value: unknown): unknown {
    return value;
  }
  protected override _toValue(value: unknown): unknown {
    return value;
  }
}

/**
 * @param references schemas whose types this one names
 * @throws MillraceError SCHEMA_INVALID when it is no Avro schema
 */
export function parseAvroSchema(
  schema: AvroSchema,
  references: readonly AvroSchema[] = [],
): AvroType {
  try {
    const registry: Record<string, Type> = {};
    const parse = (one: AvroSchema): Type =>
      avsc.Type.forSchema(parseText(one) as AvscSchema, {
        registry,
        wrapUnions: true,
        logicalTypes: Object.fromEntries(TIMESTAMPS.map((name) => [name, TimestampType])),
      });
    references.forEach(parse);
    return convert(parse(schema), new Map());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError(
      'SCHEMA_INVALID',
      `not an Avro schema: ${reason}; correct the schema's text`,
      { cause: error },
    );
  }
}

/** What the schema is to people: `[null, string]`, `record Order`. */
export function describeAvroType(type: AvroType): string {
  switch (type.kind) {
    case 'array':
      return `array of ${describeAvroType(type.items)}`;
    case 'map':
      return `map of ${describeAvroType(type.values)}`;
    case 'union':
      return `[${type.branches.map(describeAvroType).join(', ')}]`;
    case 'record':
    case 'enum':
    case 'fixed':
      return `${type.kind} ${type.name}`;
    default:
      return type.kind;
  }
}

/** The other type of a union of null and one type; undefined for all other types. */
export function nullableOf(type: AvroType): AvroType | undefined {
  if (type.kind !== 'union' || type.branches.length !== 2) return undefined;
  const others = type.branches.filter(({ kind }) => kind !== 'null');
  return others.length === 1 ? others[0] : undefined;
}

function parseText(schema: AvroSchema): unknown {
  if (typeof schema !== 'string') return schema;
  // The name of a primitive type is a schema as well.
  return /^\s*[{["]/.test(schema) ? (JSON.parse(schema) as unknown) : schema.trim();
}

function convert(type: Type, known: Map<Type, AvroType>): AvroType {
  const seen = known.get(type);
  if (seen !== undefined) return seen;
  const keep = <T extends AvroType>(made: T): T => {
    known.set(type, made);
    return made;
  };
  const name = type.name ?? '';
  if (type instanceof avsc.types.RecordType) {
    const fields: AvroField[] = [];
    const made = keep({ kind: 'record', name, fields });
    for (const field of type.fields) {
      fields.push({
        name: field.name,
        aliases: field.aliases,
        type: convert(field.type, known),
        default: defaultBytes(field.type, field.defaultValue()),
      });
    }
    return made;
  }
  if (type instanceof avsc.types.LogicalType) return keep(convertTimestamp(type));
  if (type instanceof avsc.types.EnumType) {
    const fallback = (type as { readonly default?: string }).default;
    return keep({ kind: 'enum', name, symbols: type.symbols, default: fallback });
  }
  if (type instanceof avsc.types.FixedType) return keep({ kind: 'fixed', name, size: type.size });
  if (type instanceof avsc.types.ArrayType) {
    return keep({ kind: 'array', items: convert(type.itemsType, known) });
  }
  if (type instanceof avsc.types.MapType) {
    return keep({ kind: 'map', values: convert(type.valuesType as Type, known) });
  }
  if (type instanceof avsc.types.WrappedUnionType) {
    return keep({ kind: 'union', branches: type.types.map((one) => convert(one, known)) });
  }
  return keep({ kind: type.typeName as AvroPrimitive });
}

function convertTimestamp(type: InstanceType<typeof avsc.types.LogicalType>): AvroType {
  const kind = TIMESTAMPS.find((name) => type.typeName === `logical:${name}`);
  if (kind === undefined || type.underlyingType.typeName !== 'long') {
    return convert(type.underlyingType, new Map());
  }
  return { kind };
}

function defaultBytes(type: Type, value: unknown): Buffer | undefined {
  return value === undefined ? undefined : type.toBuffer(value);
}
