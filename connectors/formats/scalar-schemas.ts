/** The schema of each kind that has no parts, for formats that make schemas from types of their own. */
import { t, type Schema } from '../../api/schema.js';

export const SCALAR_SCHEMAS: Readonly<Partial<Record<Schema['kind'], Schema>>> = {
  boolean: t.boolean,
  int32: t.int32,
  int64: t.int64,
  float64: t.float64,
  timestamp: t.timestamp,
  bytes: t.bytes,
  string: t.string,
};
