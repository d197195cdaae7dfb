/**
 * Schemas and values in a few words, for error messages, `plan` and the dashboard. Output is for
 * people: it is shortened and must never be parsed.
 */
import type { Schema } from './schema.js';

const TEXT_LENGTH_MAX = 48;

/** Such as `{ user_id: string, price: float64, note?: string }`. */
export function describeSchema(schema: Schema): string {
  switch (schema.kind) {
    case 'array':
      return `array<${describeSchema(schema.items)}>`;
    case 'map':
      return `map<${describeSchema(schema.values)}>`;
    case 'optional':
      return `${describeSchema(schema.value)}?`;
    case 'literal':
      return schema.values.map((value) => JSON.stringify(value)).join(' | ');
    case 'record': {
      const fields = Object.entries(schema.fields).map(([name, field]) =>
        field.kind === 'optional'
          ? `${describeName(name)}?: ${describeSchema(field.value)}`
          : `${describeName(name)}: ${describeSchema(field)}`,
      );
      return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
    }
    case 'union': {
      const variants = Object.entries(schema.variants).map(
        ([name, variant]) => `${describeName(name)}: ${describeSchema(variant)}`,
      );
      return `union ${describeName(schema.tag)} (${variants.join(' | ')})`;
    }
    default:
      return schema.kind;
  }
}

function describeName(name: string): string {
  return /^[\w$]+$/.test(name) ? name : JSON.stringify(name);
}

/** A value's type and, where it is short, the value itself: `string "x"`, `null`, `array of 3`. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'nothing';
    case 'string':
      return `string ${clip(JSON.stringify(value))}`;
    case 'number':
      return `number ${Object.is(value, -0) ? '-0' : String(value)}`;
    case 'bigint':
      return `bigint ${clip(value.toString())}`;
    case 'boolean':
      return `boolean ${String(value)}`;
    case 'symbol':
    case 'function':
      return typeof value;
    case 'object':
      return describeObject(value);
  }
}

function describeObject(value: object | null): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `array of ${String(value.length)}`;
  if (value instanceof Uint8Array) return `${String(value.length)} bytes`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return 'record';
  const constructor: unknown = (value as { constructor?: unknown }).constructor;
  return typeof constructor === 'function' && constructor.name !== ''
    ? `an object of class ${constructor.name}`
    : 'object';
}

function clip(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)}...`;
}

/** Extends a path by a field name, an index (`[3]`) or a map key (`{"k"}`). */
export function joinPath(path: string, step: string): string {
  if (path === '' || step.startsWith('[') || step.startsWith('{')) return path + step;
  return `${path}.${step}`;
}
