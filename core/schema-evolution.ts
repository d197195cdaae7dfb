/**
 * Whether values written under one schema may be read under another, and how they change on the
 * way. Allowed: an added optional field, a removed field, a widened number (int32 to float64 or
 * int64), and another order of the same names; anything else is refused before a job is deployed.
 * Bytes are always decoded with the writer's schema and the values migrated after.
 */
import { describeSchema, joinPath } from './schema-text.js';
import { schemaEquals } from './schema-json.js';
import type { RecordNode, Schema, UnionNode } from './schema.js';

export type Migration = (value: unknown) => unknown;

export type Evolution =
  /** `migrate` is null when the schemas are equal, so that the bytes can be taken as they are. */
  | { readonly compatible: true; readonly migrate: Migration | null }
  /** `reason` names the field: `field 'geo.lat': float64 can't become string`. */
  | { readonly compatible: false; readonly reason: string };

/** A refused step, thrown only within this file to leave the recursion. */
class Refusal extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}

const same: Migration = (value) => value;

/** How values of `writer` become values of `reader`. */
export function evolve(writer: Schema, reader: Schema): Evolution {
  if (schemaEquals(writer, reader)) return { compatible: true, migrate: null };
  try {
    return { compatible: true, migrate: migration(writer, reader, '') };
  } catch (error) {
    if (error instanceof Refusal) return { compatible: false, reason: error.reason };
    throw error;
  }
}

function migration(writer: Schema, reader: Schema, path: string): Migration {
  if (schemaEquals(writer, reader)) return same;
  if (writer.kind === 'int32' && reader.kind === 'float64') return same;
  if (writer.kind === 'int32' && reader.kind === 'int64') {
    return (value) => BigInt(value as number);
  }
  if (writer.kind === 'array' && reader.kind === 'array') {
    const items = migration(writer.items, reader.items, `${path}[]`);
    return (value) => (value as readonly unknown[]).map(items);
  }
  if (writer.kind === 'map' && reader.kind === 'map') {
    const values = migration(writer.values, reader.values, joinPath(path, '{}'));
    return (value) =>
      new Map([...(value as ReadonlyMap<string, unknown>)].map(([k, v]) => [k, values(v)]));
  }
  if (writer.kind === 'optional' && reader.kind === 'optional') {
    const inner = migration(writer.value, reader.value, path);
    return (value) => (value === undefined ? undefined : inner(value));
  }
  if (writer.kind === 'literal' && reader.kind === 'literal') {
    refuseOtherNames(writer.values, reader.values, path, 'value');
    return same;
  }
  if (writer.kind === 'record' && reader.kind === 'record') {
    return recordMigration(writer, reader, path, undefined);
  }
  if (writer.kind === 'union' && reader.kind === 'union') {
    return unionMigration(writer, reader, path);
  }
  throw refusal(path, `${describeSchema(writer)} can't become ${describeSchema(reader)}`);
}

function recordMigration(
  writer: RecordNode,
  reader: RecordNode,
  path: string,
  tag: string | undefined,
): Migration {
  const kept: [string, Migration][] = tag === undefined ? [] : [[tag, same]];
  for (const [name, field] of Object.entries(reader.fields)) {
    const before = writer.fields[name];
    const at = joinPath(path, name);
    if (before !== undefined) kept.push([name, migration(before, field, at)]);
    else if (field.kind !== 'optional') throw refusal(at, 'an added field must be optional');
  }
  return (value) => {
    const record = value as Readonly<Record<string, unknown>>;
    const migrated: Record<string, unknown> = {};
    for (const [name, migrate] of kept) {
      if (Object.hasOwn(record, name)) migrated[name] = migrate(record[name]);
    }
    return migrated;
  };
}

function unionMigration(writer: UnionNode, reader: UnionNode, path: string): Migration {
  if (writer.tag !== reader.tag) {
    throw refusal(path, `the tag '${writer.tag}' can't become '${reader.tag}'`);
  }
  refuseOtherNames(Object.keys(writer.variants), Object.keys(reader.variants), path, 'variant');
  const variants = new Map<unknown, Migration>();
  for (const [name, variant] of Object.entries(writer.variants)) {
    const after = reader.variants[name];
    if (after === undefined) throw refusal(path, `the variant '${name}' is gone`);
    variants.set(name, recordMigration(variant, after, joinPath(path, name), writer.tag));
  }
  return (value) => {
    const tag = (value as Readonly<Record<string, unknown>>)[writer.tag];
    return (variants.get(tag) ?? same)(value);
  };
}

function refuseOtherNames(
  before: readonly string[],
  after: readonly string[],
  path: string,
  what: string,
): void {
  const added = after.find((name) => !before.includes(name));
  if (added !== undefined) throw refusal(path, `the ${what} '${added}' was added`);
  const removed = before.find((name) => !after.includes(name));
  if (removed !== undefined) throw refusal(path, `the ${what} '${removed}' was removed`);
}

function refusal(path: string, what: string): Refusal {
  return new Refusal(path === '' ? `value: ${what}` : `field '${path}': ${what}`);
}
