/**
 * Schemas as job authors meet them:
 *
 *     const Click = t.record({ user: t.string, at: t.timestamp, tags: t.array(t.string) });
 *     type Click = t.infer<typeof Click>;
 *
 * A public door over core; it must never add behaviour of its own.
 */
export * as t from './schema-builder.js';
export type { Infer, OptionalSchema, RecordSchema, Schema } from '../core/schema.js';
