/**
 * Source of the decoder of one layout: one loop that reads the columns side by side, cuts all text
 * out of one string and builds each record at one literal site, so all get one hidden class.
 * Counts and lengths come from the wire: the total is checked before anything is allocated, items
 * of inner frames before they are read, and that all is used up at the end.
 */
import { GeneratedSource, quote } from './generated-source.js';
import {
  CHUNK_VERSION,
  COLUMN_BYTES,
  FLAG_UTF16,
  HEADER_WORDS,
  headerBytes,
  LONG_LENGTH,
  type Column,
  type LayoutField,
  type LayoutNode,
  type RecordLayout,
} from './record-layout.js';

/** Names in the source: c<id> columns, n<frame> items, m<frame> items read, u text read, w, p. */
export function generateDecoder(layout: RecordLayout, stamp: number): string {
  const reader = new DecoderSource();
  const record = reader.node(layout.root, 'i0');
  const header = headerBytes(layout);
  const frames = [...Array(layout.frameCount).keys()];
  const inner = frames.slice(1);
  const offsets = layout.columns.map(
    ({ id, frame, type }) =>
      `const o${String(id)} = at; at += n${String(frame)} * ${String(COLUMN_BYTES[type])};`,
  );
  const views = layout.columns.map(
    ({ id, frame, type }) =>
      `const c${String(id)} = new ${type}Array(buffer, base + o${String(id)}, n${String(frame)});`,
  );
  const used = inner.map((f) => ` || m${String(f)} !== n${String(f)}`).join('');
  return `'use strict';
const { Buffer, corrupt } = runtime;
${reader.constants.join('\n')}
return function decode(bytes, into) {
  const length = bytes.length;
  if (length < ${String(header)}) corrupt('shorter than its header');
  const aligned = (bytes.byteOffset & 7) === 0 ? bytes : new Uint8Array(bytes);
  const buffer = aligned.buffer, base = aligned.byteOffset;
  const head = new Uint32Array(buffer, base, ${String(header / 4)});
  const flags = head[0], units = head[2], longs = head[3], poolBytes = head[4];
  if ((flags & ~${String(FLAG_UTF16)}) !== ${String(CHUNK_VERSION)}) corrupt('unknown version');
  if (head[1] !== ${String(stamp)}) corrupt('written with another schema');
  ${frames.map((f) => `const n${String(f)} = head[${String(HEADER_WORDS + f)}];`).join(' ')}
  const textBytes = (flags & ${String(FLAG_UTF16)}) === 0 ? units : units * 2;
  let at = ${String(header)};
  ${offsets.join('\n  ')}
  const longAt = at; at += longs * 4;
  const poolAt = at; at += poolBytes;
  if (at + textBytes !== length) corrupt('its length does not match its counts');
  ${views.join('\n  ')}
  const long = longs === 0 ? [] : new Uint32Array(buffer.slice(base + longAt, base + longAt + longs * 4));
  const pool = new Uint8Array(buffer, base + poolAt, poolBytes);
  const text = units === 0 ? '' : Buffer.from(buffer, base + at, textBytes).toString(units === textBytes ? 'latin1' : 'utf16le');
  const values = into.values;
  let u = 0, w = 0, p = 0;
  ${inner.map((f) => `let m${String(f)} = 0;`).join(' ')}
  for (let i0 = 0; i0 < n0; i0++) {
${reader.toString()}
    values[i0] = ${record};
  }
  if (u !== units || w !== longs || p !== poolBytes${used}) corrupt('its columns disagree');
  if (values.length !== n0) values.length = n0;
  into.timestamps = c${String(layout.timestamps.id)};
  into.count = n0;
  return into;
};`;
}

class DecoderSource extends GeneratedSource {
  readonly constants: string[] = [];

  /** Emits what reads one value and returns the expression that holds it, free of side effects. */
  node(node: LayoutNode, index: string): string {
    switch (node.kind) {
      case 'string':
        return this.string(node.column, index);
      case 'float64':
      case 'timestamp':
      case 'int32':
      case 'int64':
        return this.read(node.column, index);
      case 'boolean':
        return `${this.read(node.column, index)} !== 0`;
      case 'bytes': {
        const value = this.fresh('v');
        const end = `p + ${this.read(node.column, index)}`;
        this.line(`const ${value} = pool.slice(p, ${end}); p = ${end};`);
        return value;
      }
      case 'literal': {
        const table = this.fresh('T');
        const value = this.fresh('v');
        this.constants.push(`const ${table} = ${JSON.stringify(node.values)};`);
        this.line(`const ${value} = ${table}[${this.read(node.column, index)}];`);
        this.line(`if (${value} === undefined) corrupt('an unknown literal');`);
        return value;
      }
      case 'record':
        return this.record(node.fields, index, '');
      case 'optional':
        return this.optional(node, index);
      case 'array':
        return this.array(node, index);
      case 'map':
        return this.map(node, index);
      case 'union':
        return this.union(node, index);
    }
  }

  private read(column: Column, index: string): string {
    return `c${String(column.id)}[${index}]`;
  }

  private string(column: Column, index: string): string {
    const length = this.fresh('l');
    const value = this.fresh('v');
    this.line(`let ${length} = ${this.read(column, index)};`);
    this.line(`if (${length} === ${String(LONG_LENGTH)}) ${length} = long[w++];`);
    this.line(`const ${value} = text.substring(u, u += ${length});`);
    return value;
  }

  /** Claims `count` more items of a frame, of which the first has the index returned. */
  private claim(frame: number, count: string): string {
    const m = `m${String(frame)}`;
    const first = this.fresh('i');
    this.line(`const ${first} = ${m};`);
    this.line(`if (${first} + ${count} > n${String(frame)}) corrupt('too few items');`);
    this.line(`${m} = ${first} + ${count};`);
    return first;
  }

  private record(fields: readonly LayoutField[], index: string, tag: string): string {
    const required: string[] = tag === '' ? [] : [tag];
    const present: string[] = [];
    const variable = this.fresh('r');
    for (const { name, node } of fields) {
      const value = this.node(node, index);
      if (node.kind === 'optional') {
        present.push(`if (${value} !== undefined) ${variable}[${quote(name)}] = ${value};`);
      } else {
        required.push(`${quote(name)}: ${value}`);
      }
    }
    this.line(`const ${variable} = { ${required.join(', ')} };`);
    for (const line of present) this.line(line);
    return variable;
  }

  private optional(node: LayoutNode & { kind: 'optional' }, index: string): string {
    const result = this.fresh('v');
    this.line(`let ${result};`);
    this.line(`if (${this.read(node.column, index)} !== 0) {`);
    const inner = this.claim(node.frame, '1');
    this.line(`${result} = ${this.node(node.value, inner)};`);
    this.line('}');
    return result;
  }

  private array(node: LayoutNode & { kind: 'array' }, index: string): string {
    const count = this.fresh('l');
    const result = this.fresh('v');
    const item = this.fresh('i');
    this.line(`const ${count} = ${this.read(node.column, index)};`);
    const first = this.claim(node.frame, count);
    this.line(`const ${result} = [];`);
    this.line(`for (let ${item} = ${first}; ${item} < ${first} + ${count}; ${item}++) {`);
    this.line(`${result}.push(${this.node(node.items, item)});`);
    this.line('}');
    return result;
  }

  private map(node: LayoutNode & { kind: 'map' }, index: string): string {
    const count = this.fresh('l');
    const result = this.fresh('v');
    const item = this.fresh('i');
    this.line(`const ${count} = ${this.read(node.column, index)};`);
    const first = this.claim(node.frame, count);
    this.line(`const ${result} = new Map();`);
    this.line(`for (let ${item} = ${first}; ${item} < ${first} + ${count}; ${item}++) {`);
    const key = this.string(node.keys, item);
    this.line(`${result}.set(${key}, ${this.node(node.values, item)});`);
    this.line('}');
    return result;
  }

  private union(node: LayoutNode & { kind: 'union' }, index: string): string {
    const result = this.fresh('v');
    this.line(`let ${result};`);
    this.line(`switch (${this.read(node.column, index)}) {`);
    node.variants.forEach((variant, at) => {
      this.line(`case ${String(at)}: {`);
      const inner = this.claim(variant.frame, '1');
      const tag = `${quote(node.tag)}: ${quote(variant.name)}`;
      this.line(`${result} = ${this.record(variant.fields, inner, tag)};`);
      this.line('break; }');
    });
    this.line(`default: corrupt('an unknown variant');`);
    this.line('}');
    return result;
  }
}
