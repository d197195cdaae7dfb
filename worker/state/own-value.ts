/**
 * Cuts state loose from the chunks it came from. A string of 13 or more characters read from a
 * chunk is a window on the text of the whole chunk and keeps all of it alive, so one such string
 * in state would hold a thousand times its size. Elements of arrays and maps inside a value are left
 * as they are: copying them all on each update would make growing a collection quadratic.
 */
import type { Schema } from '../../core/schema.js';

/** V8 makes a substring of fewer characters a copy of its own. */
const SLICE_LENGTH_MIN = 13;

/** The same value, holding on to no other memory than its own. */
export type OwnValue = (value: unknown) => unknown;

/** The same string in memory of its own. */
export function ownString(text: string): string {
  // Cutting a concatenation flattens it into a new string first; nothing cheaper copies.
  return text.length < SLICE_LENGTH_MIN ? text : ` ${text}`.slice(1);
}

/** Characters that take two bytes each. */
const WIDE = /[\u0100-\uffff]/;

/** Where texts of ASCII are copied through. */
const scratch = Buffer.alloc(4096);

/**
 * As ownString, but in one piece: dearer to make, half the price to compare. For keys, which are
 * compared for as long as they live.
 */
export function flatString(text: string): string {
  const { length } = text;
  if (length < SLICE_LENGTH_MIN) return text;
  // As many bytes as characters: nothing but ASCII.
  if (length * 3 <= scratch.length && scratch.write(text, 0) === length) {
    return scratch.toString('latin1', 0, length);
  }
  const encoding = WIDE.test(text) ? 'utf16le' : 'latin1';
  return Buffer.from(text, encoding).toString(encoding);
}

/** @returns undefined when values of this schema hold no text */
export function ownValueOf(schema: Schema): OwnValue | undefined {
  switch (schema.kind) {
    case 'string':
      return (value) => (typeof value === 'string' ? ownString(value) : value);
    case 'optional':
      return ownValueOf(schema.value);
    case 'record':
      return ownFields(schema.fields);
    case 'union': {
      const variants = new Map<unknown, OwnValue>();
      for (const [name, variant] of Object.entries(schema.variants)) {
        const own = ownFields(variant.fields);
        if (own !== undefined) variants.set(name, own);
      }
      if (variants.size === 0) return undefined;
      return (value) => {
        const own = isObject(value) ? variants.get(value[schema.tag]) : undefined;
        return own === undefined ? value : own(value);
      };
    }
    default:
      return undefined;
  }
}

function ownFields(fields: Readonly<Record<string, Schema>>): OwnValue | undefined {
  const owned: [string, OwnValue][] = [];
  for (const [name, field] of Object.entries(fields)) {
    const own = ownValueOf(field);
    if (own !== undefined) owned.push([name, own]);
  }
  if (owned.length === 0) return undefined;
  return (value) => {
    if (!isObject(value)) return value;
    // Equal strings take the place of equal strings, which nobody can see, unless it is frozen.
    const target = Object.isFrozen(value) ? { ...value } : value;
    for (const [name, own] of owned) {
      const field = target[name];
      if (field !== undefined) target[name] = own(field);
    }
    return target;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
