/**
 * The columns into which the records of a chunk fall. A frame is a run of items that fill their
 * columns together: frame 0 the records, and one more for the present values of each optional, the
 * elements of each array or map, and the records of each union variant. Nested records share their
 * parent's frame. Columns lie widest first, so each is aligned without padding between them.
 *
 * Chunk: header of 32-bit words | columns | long string lengths | bytes pool | text, all
 * little-endian. Header: version + flags, schema stamp, text length in UTF-16 units, count of long
 * lengths, length of the bytes pool, then the items of each frame; padded to 8 bytes. Text is
 * latin1 unless the flag says UTF-16.
 */
import type { RecordNode, Schema } from './schema.js';

export type ColumnType = 'Float64' | 'BigInt64' | 'Uint32' | 'Int32' | 'Uint16' | 'Uint8';

export const COLUMN_BYTES: Readonly<Record<ColumnType, number>> = {
  Float64: 8,
  BigInt64: 8,
  Uint32: 4,
  Int32: 4,
  Uint16: 2,
  Uint8: 1,
};

export interface Column {
  readonly id: number;
  readonly frame: number;
  readonly type: ColumnType;
}

/** A schema node with the columns and the frame that hold its values. */
export type LayoutNode =
  | {
      readonly kind: 'float64' | 'int32' | 'int64' | 'boolean' | 'timestamp';
      readonly column: Column;
    }
  /** The column holds lengths; LONG_LENGTH refers to the list of long ones. */
  | { readonly kind: 'string'; readonly column: Column }
  | { readonly kind: 'bytes'; readonly column: Column }
  | { readonly kind: 'literal'; readonly column: Column; readonly values: readonly string[] }
  | { readonly kind: 'record'; readonly fields: readonly LayoutField[] }
  | {
      readonly kind: 'optional';
      readonly column: Column;
      readonly frame: number;
      readonly value: LayoutNode;
    }
  | {
      readonly kind: 'array';
      readonly column: Column;
      readonly frame: number;
      readonly items: LayoutNode;
    }
  | {
      readonly kind: 'map';
      readonly column: Column;
      readonly frame: number;
      readonly keys: Column;
      readonly values: LayoutNode;
    }
  | {
      readonly kind: 'union';
      readonly column: Column;
      readonly tag: string;
      readonly variants: readonly LayoutVariant[];
    };

export interface LayoutField {
  readonly name: string;
  readonly node: LayoutNode;
}

export interface LayoutVariant {
  readonly name: string;
  readonly frame: number;
  readonly fields: readonly LayoutField[];
}

export interface RecordLayout {
  readonly root: LayoutNode;
  /** Of frame 0: the event time of each record. */
  readonly timestamps: Column;
  /** In the order in which a chunk holds them. */
  readonly columns: readonly Column[];
  readonly frameCount: number;
}

/** A length of 16 bits that says: the next entry of the list of long lengths. */
export const LONG_LENGTH = 0xffff;
export const CHUNK_VERSION = 1;
export const FLAG_UTF16 = 0x100;
/** Header words before the items of each frame. */
export const HEADER_WORDS = 5;

export function headerBytes(layout: RecordLayout): number {
  return Math.ceil((HEADER_WORDS + layout.frameCount) / 2) * 8;
}

export function layoutOf(schema: Schema): RecordLayout {
  const planner = new Planner();
  const timestamps = planner.column('Float64', 0);
  const root = planner.node(schema, 0);
  planner.fillEmptyFrames();
  const columns = planner.columns.toSorted(
    (a, b) => COLUMN_BYTES[b.type] - COLUMN_BYTES[a.type] || a.id - b.id,
  );
  return { root, timestamps, columns, frameCount: planner.frameCount };
}

class Planner {
  readonly columns: Column[] = [];
  frameCount = 1;

  column(type: ColumnType, frame: number): Column {
    const column: Column = { id: this.columns.length, frame, type };
    this.columns.push(column);
    return column;
  }

  node(schema: Schema, frame: number): LayoutNode {
    switch (schema.kind) {
      case 'string':
        return { kind: 'string', column: this.column('Uint16', frame) };
      case 'float64':
      case 'timestamp':
        return { kind: schema.kind, column: this.column('Float64', frame) };
      case 'int32':
        return { kind: 'int32', column: this.column('Int32', frame) };
      case 'int64':
        return { kind: 'int64', column: this.column('BigInt64', frame) };
      case 'boolean':
        return { kind: 'boolean', column: this.column('Uint8', frame) };
      case 'bytes':
        return { kind: 'bytes', column: this.column('Uint32', frame) };
      case 'literal':
        return {
          kind: 'literal',
          column: this.column(indexType(schema.values.length), frame),
          values: schema.values,
        };
      case 'record':
        return { kind: 'record', fields: this.fields(schema, frame) };
      case 'optional': {
        const column = this.column('Uint8', frame);
        const inner = this.frameCount++;
        return { kind: 'optional', column, frame: inner, value: this.node(schema.value, inner) };
      }
      case 'array': {
        const column = this.column('Uint32', frame);
        const inner = this.frameCount++;
        return { kind: 'array', column, frame: inner, items: this.node(schema.items, inner) };
      }
      case 'map': {
        const column = this.column('Uint32', frame);
        const inner = this.frameCount++;
        const keys = this.column('Uint16', inner);
        const values = this.node(schema.values, inner);
        return { kind: 'map', column, frame: inner, keys, values };
      }
      case 'union': {
        const names = Object.entries(schema.variants);
        const column = this.column(indexType(names.length), frame);
        const variants = names.map(([name, variant]) => {
          const inner = this.frameCount++;
          return { name, frame: inner, fields: this.fields(variant, inner) };
        });
        return { kind: 'union', column, tag: schema.tag, variants };
      }
    }
  }

  private fields(record: RecordNode, frame: number): readonly LayoutField[] {
    return Object.entries(record.fields).map(([name, field]) => ({
      name,
      node: this.node(field, frame),
    }));
  }

  /** Every item must cost a byte, so that a forged count can't make a decoder allocate for nothing. */
  fillEmptyFrames(): void {
    const used = new Set(this.columns.map((column) => column.frame));
    for (let frame = 0; frame < this.frameCount; frame++) {
      if (!used.has(frame)) this.column('Uint8', frame);
    }
  }
}

function indexType(count: number): ColumnType {
  return count <= 0x100 ? 'Uint8' : 'Uint16';
}
