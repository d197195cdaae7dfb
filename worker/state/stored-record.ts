/**
 * How a flat record is kept: in an object of the state's own that updates are copied into and reads
 * are copied from. Nothing that a user holds changes under them, and an update leaves no garbage
 * among old objects, which is where the collector's work is: a copy of a generated shape costs less.
 * It must never hand out what is stored.
 */
import { compileFunction } from 'node:vm';
import { quote, readField } from '../../core/generated-source.js';
import type { Schema, SchemaNode } from '../../core/schema.js';
import { StringPool } from './string-pool.js';

/** Wider records are kept as they are given: V8 keeps no such object in one piece. */
const FIELDS_MAX = 64;

export interface StoredRecord {
  /**
   * Copies a value into what is stored.
   * @param stored what an earlier call returned; undefined: there is nothing yet
   * @returns what is stored from then on
   */
  store(stored: unknown, value: unknown): unknown;
  /** A copy of what is stored. */
  load(stored: unknown): unknown;
}

/** @returns undefined unless each value of the schema has the same fields, all of them scalars */
export function compileStoredRecord(schema: Schema): StoredRecord | undefined {
  if (schema.kind !== 'record') return undefined;
  const fields = Object.entries(schema.fields);
  if (fields.length > FIELDS_MAX || !fields.every(([, field]) => isScalar(field))) return undefined;
  const pools: StringPool[] = [];
  const reads = fields.map(([name, { kind }]) => {
    const read = readField('value', name);
    if (kind !== 'string') return read;
    return `pools[${String(pools.push(new StringPool()) - 1)}].own(${read})`;
  });
  // All are read first, since a getter of a user may throw. What is stored is no user's object, so
  // its names are such that no prototype has.
  const assign = (target: string): string =>
    [
      ...reads.map((read, index) => `const v${String(index)} = ${read};`),
      ...reads.map((_, index) => `${target}.f${String(index)} = v${String(index)};`),
    ].join(' ');
  const copies = fields.map(([name], index) => `${quote(name)}: stored.f${String(index)}`);
  const source = `'use strict';
class Stored { constructor(value) { ${assign('this')} } }
return {
  store(stored, value) {
    if (typeof value !== 'object' || value === null) return value;
    if (!(stored instanceof Stored)) return new Stored(value);
    ${assign('stored')}
    return stored;
  },
  load(stored) { return stored instanceof Stored ? { ${copies.join(', ')} } : stored; },
};`;
  const create = compileFunction(source, ['pools'], { filename: 'millrace:stored-record' });
  return (create as (pools: readonly StringPool[]) => StoredRecord)(pools);
}

function isScalar({ kind }: SchemaNode): boolean {
  return (
    kind !== 'record' &&
    kind !== 'union' &&
    kind !== 'array' &&
    kind !== 'map' &&
    kind !== 'optional' &&
    kind !== 'bytes'
  );
}
