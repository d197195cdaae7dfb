/**
 * Estimates of the memory that values of a schema take as objects. They are made for each write, so
 * of a collection one element stands for all; what else the collector needs is not part of them.
 */
import type { Schema, SchemaNode } from '../../core/schema.js';

/** Memory of one value beside the pointer to it. */
export type HeapSize = (value: unknown) => number;

const POINTER_BYTES = 8;
const OBJECT_BYTES = 24;
const NUMBER_BYTES = 16;
const TEXT_BYTES = 24;
const BIGINT_BYTES = 24;
const VIEW_BYTES = 200;
const MAP_BYTES = 200;
const MAP_ENTRY_BYTES = 40;

export function textBytes(text: string): number {
  return TEXT_BYTES + text.length;
}

/** Of a Map by names of about this many characters. */
export function mapBytes(count: number, nameLength: number, element: number): number {
  return MAP_BYTES + count * (MAP_ENTRY_BYTES + TEXT_BYTES + nameLength + element);
}

export function heapSizeOf(schema: Schema): HeapSize {
  return sizeOf(schema);
}

function sizeOf(schema: SchemaNode): HeapSize {
  switch (schema.kind) {
    case 'string':
      return (value) => (typeof value === 'string' ? textBytes(value) : 0);
    case 'float64':
    case 'timestamp':
    case 'int32':
      return () => NUMBER_BYTES;
    case 'int64':
      return () => BIGINT_BYTES;
    case 'boolean':
    case 'literal':
      return () => 0;
    case 'bytes':
      return (value) => VIEW_BYTES + (value instanceof Uint8Array ? value.length : 0);
    case 'optional': {
      const inner = sizeOf(schema.value);
      return (value) => (value === undefined ? 0 : inner(value));
    }
    case 'array': {
      const item = sizeOf(schema.items);
      return (value) => (Array.isArray(value) ? arrayBytes(value, item) : 0);
    }
    case 'map': {
      const item = sizeOf(schema.values);
      return (value) => {
        if (!(value instanceof Map) || value.size === 0) return MAP_BYTES;
        const [name, first] = value.entries().next().value as [string, unknown];
        return mapBytes(value.size, name.length, item(first));
      };
    }
    case 'record':
      return fieldsSize(schema.fields);
    case 'union': {
      const variants = new Map<unknown, HeapSize>();
      for (const [name, variant] of Object.entries(schema.variants)) {
        variants.set(name, fieldsSize(variant.fields));
      }
      return (value) => variants.get((value as Record<string, unknown>)[schema.tag])?.(value) ?? 0;
    }
  }
}

export function arrayBytes(array: readonly unknown[], item: HeapSize): number {
  return OBJECT_BYTES + array.length * (POINTER_BYTES + item(array[array.length >> 1]));
}

function fieldsSize(fields: Readonly<Record<string, Schema>>): HeapSize {
  let fixed = OBJECT_BYTES;
  const variable: [string, HeapSize][] = [];
  for (const [name, field] of Object.entries(fields)) {
    fixed += POINTER_BYTES;
    const size = sizeOf(field);
    if (field.kind === 'float64' || field.kind === 'timestamp' || field.kind === 'int32') {
      fixed += NUMBER_BYTES;
    } else if (field.kind !== 'boolean' && field.kind !== 'literal') {
      variable.push([name, size]);
    }
  }
  return (value) => {
    let bytes = fixed;
    for (const [name, size] of variable) bytes += size((value as Record<string, unknown>)[name]);
    return bytes;
  };
}
