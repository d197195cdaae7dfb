/**
 * The members of `t`, under the names that job authors write. Nothing but names stands here: what a
 * schema is, and what is refused, is decided in core/schema.ts.
 */
export {
  /** JavaScript string; every UTF-16 sequence survives. */
  stringSchema as string,
  /** JavaScript number; NaN and infinities survive. */
  float64Schema as float64,
  /** Integer of 32 bits as a JavaScript number. */
  int32Schema as int32,
  /** Integer of 64 bits as a bigint. */
  int64Schema as int64,
  booleanSchema as boolean,
  /** Whole milliseconds since the epoch, as a JavaScript number. */
  timestampSchema as timestamp,
  /** Uint8Array. */
  bytesSchema as bytes,
  arraySchema as array,
  /** ReadonlyMap from string to the given schema. */
  mapSchema as map,
  /** In a record an optional property; elsewhere the value or undefined. */
  optionalSchema as optional,
  /** One of the given strings. */
  literalSchema as literal,
  recordSchema as record,
  /** Records told apart by a tag: `t.union('kind', { card: t.record({...}), ... })`. */
  unionSchema as union,
} from '../core/schema.js';
export type { Infer as infer } from '../core/schema.js';
