/**
 * A schema is a frozen value that describes a type: it gives the record codec, the form of state in
 * a checkpoint and the evolution rules, while TypeScript infers the static type it stands for.
 * Built bottom-up by the functions below (job authors meet them as `t`), so it is a finite tree.
 * It must never hold a function or anything else that JSON can't carry: see schema-json.ts.
 */
import { MillraceError } from './errors.js';

/** Phantom property that carries the static type; it exists at compile time only. */
declare const TYPE: unique symbol;

interface Typed<T> {
  readonly [TYPE]: T;
}

export const SCALAR_KINDS = [
  'string',
  'float64',
  'int32',
  'int64',
  'boolean',
  'timestamp',
  'bytes',
] as const;
export type ScalarKind = (typeof SCALAR_KINDS)[number];

export interface ScalarNode<K extends ScalarKind = ScalarKind> {
  readonly kind: K;
}
export interface ArrayNode {
  readonly kind: 'array';
  readonly items: Schema;
}
export interface MapNode {
  readonly kind: 'map';
  readonly values: Schema;
}
export interface OptionalNode {
  readonly kind: 'optional';
  readonly value: Schema;
}
export interface LiteralNode {
  readonly kind: 'literal';
  readonly values: readonly string[];
}
export interface RecordNode {
  readonly kind: 'record';
  /** A null-prototype object in declaration order. */
  readonly fields: Readonly<Record<string, Schema>>;
}
export interface UnionNode {
  readonly kind: 'union';
  readonly tag: string;
  /** A null-prototype object in declaration order. */
  readonly variants: Readonly<Record<string, RecordSchema>>;
}
export type SchemaNode =
  ScalarNode | ArrayNode | MapNode | OptionalNode | LiteralNode | RecordNode | UnionNode;

/** A schema of values of type T. Any schema is assignable to plain `Schema`. */
export type Schema<T = unknown> = SchemaNode & Typed<T>;
export type RecordSchema<T = unknown> = RecordNode & Typed<T>;
export type OptionalSchema<T = unknown> = OptionalNode & Typed<T | undefined>;

/** The static type of the values a schema describes. */
export type Infer<S> = S extends Typed<infer T> ? T : never;

export type RecordFields = Readonly<Record<string, Schema>>;

type Flat<T> = { [K in keyof T]: T[K] };
type RequiredNames<F> = {
  [K in keyof F]: F[K] extends { readonly kind: 'optional' } ? never : K;
}[keyof F];

/** Optional schemas become optional properties; undefined and absent are the same value. */
export type InferRecord<F> = Flat<
  { -readonly [K in RequiredNames<F>]: Infer<F[K]> } & {
    -readonly [K in Exclude<keyof F, RequiredNames<F>>]?: Exclude<Infer<F[K]>, undefined>;
  }
>;
export type InferUnion<Tag extends string, V> = {
  [N in keyof V]: Flat<{ [K in Tag]: N } & Infer<V[N]>>;
}[keyof V];

/** Bounds that keep recursion over a schema and the code generated from it finite and small. */
export const SCHEMA_LIMITS = {
  /** Levels of nesting; deep enough for any event seen in the field. */
  depthMax: 32,
  /** Nodes in the whole tree; generated code grows with it. */
  nodesMax: 4096,
  /** Values of one literal; the wire holds an index of 16 bits. */
  literalsMax: 65_535,
  /** UTF-16 units of a field, variant, tag or literal name. */
  nameLengthMax: 1024,
} as const;

const BUILD_KINDS = ['array', 'map', 'optional', 'literal', 'record', 'union'] as const;
const KINDS: ReadonlySet<unknown> = new Set<string>([...SCALAR_KINDS, ...BUILD_KINDS]);

/** Whether a value was made by the functions of this file. */
export function isSchema(value: unknown): value is Schema {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    KINDS.has(value.kind) &&
    Object.isFrozen(value)
  );
}

/** The schemas directly inside a schema, each with the path step that leads to it. */
export function childrenOf(node: SchemaNode): readonly (readonly [string, Schema])[] {
  switch (node.kind) {
    case 'array':
      return [['[]', node.items]];
    case 'map':
      return [['{}', node.values]];
    case 'optional':
      return [['', node.value]];
    case 'record':
      return Object.entries(node.fields);
    case 'union':
      return Object.entries(node.variants);
    default:
      return [];
  }
}

export const stringSchema: Schema<string> = seal({ kind: 'string' });
export const float64Schema: Schema<number> = seal({ kind: 'float64' });
export const int32Schema: Schema<number> = seal({ kind: 'int32' });
export const int64Schema: Schema<bigint> = seal({ kind: 'int64' });
export const booleanSchema: Schema<boolean> = seal({ kind: 'boolean' });
export const timestampSchema: Schema<number> = seal({ kind: 'timestamp' });
export const bytesSchema: Schema<Uint8Array> = seal({ kind: 'bytes' });

/** @throws MillraceError SCHEMA_INVALID when `items` is not a schema */
export function arraySchema<T>(items: Schema<T>): Schema<readonly T[]> {
  return seal({ kind: 'array', items: checked(items, 'array items') });
}

/** String keys to values. @throws MillraceError SCHEMA_INVALID when `values` is not a schema */
export function mapSchema<T>(values: Schema<T>): Schema<ReadonlyMap<string, T>> {
  return seal({ kind: 'map', values: checked(values, 'map values') });
}

/** @throws MillraceError SCHEMA_INVALID when `value` is not a schema or is itself optional */
export function optionalSchema<T>(value: Schema<T>): OptionalSchema<T> {
  if (checked(value, 'optional value').kind === 'optional') {
    throw invalid('an optional of an optional', 'make it optional once');
  }
  return seal({ kind: 'optional', value });
}

/** One of the given strings. @throws MillraceError SCHEMA_INVALID when there are none, or doubles */
export function literalSchema<const V extends readonly [string, ...string[]]>(
  ...values: V
): Schema<V[number]> {
  if (values.length === 0 || values.length > SCHEMA_LIMITS.literalsMax) {
    throw invalid(
      `a literal of ${String(values.length)} values`,
      `give 1 to ${String(SCHEMA_LIMITS.literalsMax)} strings`,
    );
  }
  for (const value of values) checkName(value, 'literal value');
  if (new Set(values).size !== values.length) {
    throw invalid('a literal that holds one value twice', 'give each value once');
  }
  return seal({ kind: 'literal', values: Object.freeze([...values]) });
}

/**
 * A record with the given fields, any names except `__proto__`.
 * @throws MillraceError SCHEMA_INVALID naming the field that is not a schema or whose name is refused
 */
export function recordSchema<F extends RecordFields>(fields: F): RecordSchema<InferRecord<F>> {
  return seal({ kind: 'record', fields: copyNamed(fields, 'field') });
}

/**
 * A tagged union: each variant is a record, told apart by the string in the field `tag`.
 * @throws MillraceError SCHEMA_INVALID naming the variant that is not a record or holds the tag itself
 */
export function unionSchema<
  const Tag extends string,
  V extends Readonly<Record<string, RecordSchema>>,
>(tag: Tag, variants: V): Schema<InferUnion<Tag, V>> {
  checkName(tag, 'tag');
  const copied = copyNamed(variants, 'variant');
  const names = Object.keys(copied);
  if (names.length === 0 || names.length > SCHEMA_LIMITS.literalsMax) {
    throw invalid(`a union of ${String(names.length)} variants`, 'give it at least one');
  }
  for (const [name, variant] of Object.entries<Schema>(copied)) {
    if (variant.kind !== 'record') {
      throw invalid(`variant '${name}' is a ${variant.kind}`, 'make every variant a record');
    }
    if (Object.hasOwn(variant.fields, tag)) {
      throw invalid(
        `variant '${name}' declares the tag '${tag}' itself`,
        'leave the tag out of it',
      );
    }
  }
  return seal({ kind: 'union', tag, variants: copied });
}

function copyNamed<S extends Schema>(
  named: Readonly<Record<string, S>>,
  what: string,
): Readonly<Record<string, S>> {
  const copy = Object.create(null) as Record<string, S>;
  for (const [name, schema] of Object.entries(named)) {
    checkName(name, what);
    copy[name] = checked(schema, `${what} '${name}'`);
  }
  return Object.freeze(copy);
}

function checkName(name: unknown, what: string): void {
  if (typeof name !== 'string') {
    throw invalid(`a ${what} of type ${typeof name}`, 'use a string');
  }
  if (name === '__proto__') {
    throw invalid(`${what} '__proto__'`, 'choose another name, this one sets a prototype');
  }
  if (name.length > SCHEMA_LIMITS.nameLengthMax) {
    throw invalid(
      `${what} '${name.slice(0, 32)}...' of ${String(name.length)} characters`,
      `stay within ${String(SCHEMA_LIMITS.nameLengthMax)}`,
    );
  }
}

function checked<S extends Schema>(schema: S, where: string): S {
  if (!isSchema(schema)) {
    throw invalid(`${where} is not a schema`, "use the builder, such as 't.string'");
  }
  return schema;
}

/** Freezes a node and gives it its static type; the one place where the phantom is asserted. */
function seal<S extends Schema>(node: SchemaNode): S {
  measure(node, 1, { nodes: 0 });
  return Object.freeze(node) as S;
}

function measure(node: SchemaNode, depth: number, seen: { nodes: number }): void {
  if (depth > SCHEMA_LIMITS.depthMax) {
    throw invalid(
      `a schema nested deeper than ${String(SCHEMA_LIMITS.depthMax)} levels`,
      'flatten it',
    );
  }
  if (++seen.nodes > SCHEMA_LIMITS.nodesMax) {
    throw invalid(`a schema of more than ${String(SCHEMA_LIMITS.nodesMax)} parts`, 'split it up');
  }
  for (const [, child] of childrenOf(node)) measure(child, depth + 1, seen);
}

function invalid(what: string, remedy: string): MillraceError {
  return new MillraceError('SCHEMA_INVALID', `${what} can't be a schema; ${remedy}`);
}
