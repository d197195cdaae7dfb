/**
 * Source of the encoder of one layout: a function that makes builders. `append` writes each field
 * into its column and joins all text of the chunk to one string, which `finish` flattens and writes
 * once; that, and checks inlined as `typeof`, is where its speed comes from. It must never let a
 * value of another type through.
 */
import { GeneratedSource, quote, readField } from './generated-source.js';
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

/** Literals and variants up to this many are told apart by a switch, more by a Map. */
const SWITCH_CASES_MAX = 16;

/**
 * Names in the source: c<id> the column arrays and b<id> their bytes; n<frame> items used and
 * k<frame> room; s the text, w the long lengths, p the bytes pool. The last three and n are rolled
 * back to their committed copies (dn, ds, dw, dp) when a record fails.
 */
export function generateEncoder(layout: RecordLayout, stamp: number): string {
  const writer = new EncoderSource();
  writer.append(layout);
  const frames = [...Array(layout.frameCount).keys()];
  const inner = frames.slice(1);
  const columns = layout.columns;
  const header = headerBytes(layout);
  const sizes = frames.map((frame) => {
    const own = columns.filter((column) => column.frame === frame);
    return own.reduce((sum, column) => sum + COLUMN_BYTES[column.type], 0);
  });
  const estimate = frames.map((f) => `n${String(f)} * ${String(sizes[f])}`).join(' + ');
  return `'use strict';
const { Buffer, wide, mismatch } = runtime;
${writer.constants.join('\n')}
return function create(capacity) {
  let s = '', ds = '', long = [], dw = 0, pool = new Uint8Array(0), p = 0, dp = 0;
  ${frames.map((f) => `let n${String(f)} = 0, k${String(f)} = ${f === 0 ? 'capacity' : '0'};`).join('\n  ')}
  ${inner.map((f) => `let dn${String(f)} = 0;`).join('\n  ')}
  ${columns.map((c) => `let c${String(c.id)} = new ${c.type}Array(${c.frame === 0 ? 'capacity' : '0'}), b${String(c.id)} = new Uint8Array(c${String(c.id)}.buffer);`).join('\n  ')}
  ${frames.map((f) => growSource(f, columns)).join('\n  ')}
  function putBytes(value) {
    const end = p + value.length;
    if (end > pool.length) {
      const larger = new Uint8Array(Math.max(1024, pool.length * 2, end));
      larger.set(pool.subarray(0, p));
      pool = larger;
    }
    pool.set(value, p);
    p = end;
  }
  function fail(value, timestamp) {
    s = ds; long.length = dw; p = dp;
    ${inner.map((f) => `n${String(f)} = dn${String(f)};`).join(' ')}
    mismatch(value, timestamp);
  }
  function append(value, timestamp) {
    const i0 = n0;
    if (i0 === k0) grow0();
    if (!(typeof timestamp === 'number' && timestamp === timestamp)) fail(value, timestamp);
${writer.toString()}
    n0 = i0 + 1;
    ${writer.commits(inner)}
  }
  function finish() {
    const utf16 = wide.test(s);
    const units = s.length, textBytes = utf16 ? units * 2 : units;
    const longs = long.length;
    const total = ${String(header)} + ${estimate} + longs * 4 + p + textBytes;
    const buffer = new ArrayBuffer(total);
    const out = new Uint8Array(buffer);
    const head = new Uint32Array(buffer, 0, ${String(header / 4)});
    head[0] = ${String(CHUNK_VERSION)} | (utf16 ? ${String(FLAG_UTF16)} : 0);
    head[1] = ${String(stamp)};
    head[2] = units; head[3] = longs; head[4] = p;
    ${frames.map((f) => `head[${String(HEADER_WORDS + f)}] = n${String(f)};`).join(' ')}
    let at = ${String(header)}, size = 0;
    ${columns.map(copySource).join('\n    ')}
    if (longs > 0) {
      out.set(new Uint8Array(Uint32Array.from(long).buffer), at);
      at += longs * 4;
    }
    if (p > 0) { out.set(pool.subarray(0, p), at); at += p; }
    if (units > 0) Buffer.from(buffer).write(s, at, textBytes, utf16 ? 'utf16le' : 'latin1');
    s = ds = ''; p = dp = dw = 0;
    if (longs > 0) long = [];
    ${frames.map((f) => `n${String(f)} = 0;`).join(' ')}
    ${inner.map((f) => `dn${String(f)} = 0;`).join(' ')}
    return out;
  }
  return {
    append, finish,
    get count() { return n0; },
    get byteEstimate() { return ${estimate} + long.length * 4 + p + s.length; },
  };
};`;
}

function growSource(frame: number, columns: readonly Column[]): string {
  const f = String(frame);
  const own = columns.filter((column) => column.frame === frame);
  const grown = own.map(({ id, type }) => {
    const c = String(id);
    return `const a${c} = new ${type}Array(k${f}); a${c}.set(c${c}); c${c} = a${c}; b${c} = new Uint8Array(a${c}.buffer);`;
  });
  return `function grow${f}() { k${f} = Math.max(16, k${f} * 2); ${grown.join(' ')} }`;
}

function copySource({ id, frame, type }: Column): string {
  const bytes = `b${String(id)}`;
  return `size = n${String(frame)} * ${String(COLUMN_BYTES[type])}; out.set(size === ${bytes}.length ? ${bytes} : ${bytes}.subarray(0, size), at); at += size;`;
}

/** The body of `append`. Text waits in `text` until the straight-line run of statements ends. */
class EncoderSource extends GeneratedSource {
  readonly constants: string[] = [];
  private text: string[] = [];
  private takesBytes = false;

  append(layout: RecordLayout): void {
    this.line(`c${String(layout.timestamps.id)}[i0] = timestamp;`);
    this.node(layout.root, 'value', 'i0');
    this.flush();
  }

  /** What `append` does last: makes this record's share of the text, pool and frames final. */
  commits(inner: readonly number[]): string {
    const frames = inner.map((f) => `dn${String(f)} = n${String(f)};`);
    return `ds = s; dw = long.length; ${this.takesBytes ? 'dp = p; ' : ''}${frames.join(' ')}`;
  }

  private check(valid: string): void {
    this.line(`if (!(${valid})) return fail(value, timestamp);`);
  }

  private put(column: Column, index: string, expression: string): void {
    this.line(`c${String(column.id)}[${index}] = ${expression};`);
  }

  private flush(): void {
    if (this.text.length > 0) this.line(`s += ${this.text.join(' + ')};`);
    this.text = [];
  }

  private block(opening: string, body: () => void): void {
    this.flush();
    this.line(`${opening} {`);
    body();
    this.flush();
    this.line('}');
  }

  /** Claims the next item of a frame and names its index. */
  private next(frame: number): string {
    const f = String(frame);
    const index = this.fresh('i');
    this.line(`if (n${f} === k${f}) grow${f}();`);
    this.line(`const ${index} = n${f}++;`);
    return index;
  }

  /** Emits the code that checks the value of variable `x` and stores it as item `index`. */
  private node(node: LayoutNode, x: string, index: string): void {
    switch (node.kind) {
      case 'string':
        this.string(node.column, x, index);
        return;
      case 'float64':
        this.check(`typeof ${x} === 'number'`);
        this.put(node.column, index, x);
        return;
      case 'int32':
        this.check(`typeof ${x} === 'number' && (${x} | 0) === ${x}`);
        this.put(node.column, index, x);
        return;
      case 'timestamp':
        this.check(`Number.isSafeInteger(${x})`);
        this.put(node.column, index, x);
        return;
      case 'int64':
        this.check(`typeof ${x} === 'bigint' && BigInt.asIntN(64, ${x}) === ${x}`);
        this.put(node.column, index, x);
        return;
      case 'boolean':
        this.check(`typeof ${x} === 'boolean'`);
        this.put(node.column, index, `${x} ? 1 : 0`);
        return;
      case 'bytes':
        this.takesBytes = true;
        this.check(`${x} instanceof Uint8Array`);
        this.put(node.column, index, `${x}.length`);
        this.line(`putBytes(${x});`);
        return;
      case 'literal':
        this.literal(node.column, node.values, x, index);
        return;
      case 'record':
        this.record(node.fields, x, index);
        return;
      case 'optional':
        this.put(node.column, index, `${x} === undefined ? 0 : 1`);
        this.block(`if (${x} !== undefined)`, () => {
          this.node(node.value, x, this.next(node.frame));
        });
        return;
      case 'array':
        this.array(node, x, index);
        return;
      case 'map':
        this.map(node, x, index);
        return;
      case 'union':
        this.union(node, x, index);
        return;
    }
  }

  private string(column: Column, x: string, index: string): void {
    this.check(`typeof ${x} === 'string'`);
    const length = this.fresh('l');
    const limit = String(LONG_LENGTH);
    this.line(`const ${length} = ${x}.length;`);
    this.put(column, index, `${length} < ${limit} ? ${length} : ${limit}`);
    this.line(`if (${length} >= ${limit}) long.push(${length});`);
    this.text.push(x);
  }

  private literal(column: Column, values: readonly string[], x: string, index: string): void {
    const found = this.fresh('e');
    if (values.length <= SWITCH_CASES_MAX) {
      const cases = values.map(
        (value, at) => `case ${quote(value)}: ${found} = ${String(at)}; break;`,
      );
      this.line(`let ${found} = -1; switch (${x}) { ${cases.join(' ')} }`);
      this.check(`${found} >= 0`);
    } else {
      const table = this.fresh('T');
      const entries = values.map((value, at) => [value, at] as const);
      this.constants.push(`const ${table} = new Map(${JSON.stringify(entries)});`);
      this.line(`const ${found} = ${table}.get(${x});`);
      this.check(`${found} !== undefined`);
    }
    this.put(column, index, found);
  }

  private record(fields: readonly LayoutField[], x: string, index: string): void {
    const lenient = fields.every((field) => field.node.kind === 'optional');
    const shape = `typeof ${x} === 'object' && ${x} !== null`;
    this.check(lenient ? `${shape} && !Array.isArray(${x})` : shape);
    this.fields(fields, x, index);
  }

  private fields(fields: readonly LayoutField[], x: string, index: string): void {
    for (const field of fields) {
      const variable = this.fresh('v');
      this.line(`const ${variable} = ${readField(x, field.name)};`);
      this.node(field.node, variable, index);
    }
  }

  private array(node: LayoutNode & { kind: 'array' }, x: string, index: string): void {
    const at = this.fresh('a');
    const item = this.fresh('v');
    this.check(`Array.isArray(${x})`);
    this.put(node.column, index, `${x}.length`);
    this.block(`for (let ${at} = 0; ${at} < ${x}.length; ${at}++)`, () => {
      this.line(`const ${item} = ${x}[${at}];`);
      this.node(node.items, item, this.next(node.frame));
    });
  }

  private map(node: LayoutNode & { kind: 'map' }, x: string, index: string): void {
    const key = this.fresh('v');
    const item = this.fresh('v');
    this.check(`${x} instanceof Map`);
    this.put(node.column, index, `${x}.size`);
    this.block(`for (const [${key}, ${item}] of ${x})`, () => {
      const inner = this.next(node.frame);
      this.string(node.keys, key, inner);
      this.node(node.values, item, inner);
    });
  }

  private union(node: LayoutNode & { kind: 'union' }, x: string, index: string): void {
    this.check(`typeof ${x} === 'object' && ${x} !== null`);
    const tag = this.fresh('v');
    this.line(`const ${tag} = ${x}[${quote(node.tag)}];`);
    this.block(`switch (${tag})`, () => {
      node.variants.forEach((variant, at) => {
        this.block(`case ${quote(variant.name)}:`, () => {
          this.put(node.column, index, String(at));
          this.fields(variant.fields, x, this.next(variant.frame));
          this.flush();
          this.line('break;');
        });
      });
      this.line('default: return fail(value, timestamp);');
    });
  }
}
