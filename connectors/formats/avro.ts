/** Avro as a format of Kafka's keys and values, plain or with the schemas of a registry. */
import type { Schema } from '../../api/schema.js';
import { checkOptions, fitting, optional, schema as schemaRule } from '../../core/option-check.js';
import { checkAvro, schemaOfAvro } from './avro-schema.js';
import { AvroMismatch, compileAvroReader, type ReadAvro } from './avro-reader.js';
import { parseAvroSchema, type AvroSchema, type AvroType } from './avro-type.js';
import { compileAvroWriter } from './avro-writer.js';
import { FormatError, type Decoder, type Format } from './format.js';
import { FramedDecoder, type ReadBody } from './framed-decoder.js';
import { checkRegistry, RegisteredFormat, type RegistryOptions } from './registered-format.js';
import type { RegistrySchema, SchemaRegistry } from './schema-registry.js';
import { WireEncoder } from './wire-encoder.js';
import { WireReader } from './wire-reader.js';

export interface AvroOptions<T> {
  /** What records are written with, and what others' are resolved to: JSON text, or the object of it. */
  readonly avroSchema: AvroSchema;
  /** What the job works with; it may leave fields out. Made from the Avro schema when it is not given. */
  readonly schema?: Schema<T>;
  /** With it records carry the id of their writer's schema, and are resolved from that one. */
  readonly registry?: RegistryOptions;
}

/**
 * Avro's binary encoding. `int` is t.int32, `long` t.int64 (or t.float64, checked to be below 2^53),
 * `float` and `double` t.float64, `timestamp-millis` and `-micros` t.timestamp, an enum t.literal,
 * `fixed` t.bytes, a union with null t.optional, and a union of records t.union, whose variants bear
 * their names.
 * @throws MillraceError SCHEMA_INVALID naming the field that does not fit, PARAM_INVALID naming the option
 */
export function avro<T>(options: AvroOptions<T> & { readonly schema: Schema<T> }): Format<T>;
export function avro(options: AvroOptions<unknown>): Format<Readonly<Record<string, unknown>>>;
export function avro(options: AvroOptions<unknown>): Format<unknown> {
  checkOptions('avro', options, {
    avroSchema: fitting("Avro's schema, as JSON text or the object of it", (value) =>
      ['string', 'object'].includes(typeof value),
    ),
    schema: optional(schemaRule),
    registry: optional(checkRegistry),
  });
  const { avroSchema } = options;
  const type = parseAvroSchema(avroSchema);
  const schema = options.schema ?? schemaOfAvro(type);
  checkAvro(type, schema);
  const text = typeof avroSchema === 'string' ? avroSchema : JSON.stringify(avroSchema);
  const registered =
    options.registry &&
    new RegisteredFormat(options.registry, { type: 'AVRO', text, references: [] });
  return {
    name: 'avro',
    schema,
    createDecoder: () =>
      registered === undefined
        ? plainDecoder(compileAvroReader(type, type, schema))
        : framedDecoder(registered.registry, type, schema),
    createEncoder: async (context) => {
      const write = compileAvroWriter(type, schema);
      const prefix = (await registered?.prefix(context)) ?? Buffer.alloc(0);
      return new WireEncoder('Avro', schema, write, prefix);
    },
    check: async (context, use) => {
      const checkLatest = async (latest: RegistrySchema): Promise<void> => {
        if (registered !== undefined) await compileFor(registered.registry, latest, type, schema);
      };
      if (use === 'read') return registered?.checkReading(context, checkLatest);
      compileAvroWriter(type, schema);
      return registered?.checkWriting(context, checkLatest);
    },
  };
}

function plainDecoder(read: ReadAvro): Decoder<unknown> {
  const reader = new WireReader();
  return {
    begin: (bytes) => reader.begin(bytes),
    decode: readBody(reader, read),
  };
}

function framedDecoder(registry: SchemaRegistry, type: AvroType, schema: Schema): Decoder<unknown> {
  const reader = new WireReader();
  return new FramedDecoder({
    begin: (bytes) => reader.begin(bytes),
    open: async (id) => {
      const writer = await registry.schemaById(id);
      if (writer === undefined) throw new FormatError(`the registry has no schema ${String(id)}`);
      try {
        return readBody(reader, await compileFor(registry, writer, type, schema));
      } catch (error) {
        if (!(error instanceof AvroMismatch)) throw error;
        throw new FormatError(`schema ${String(id)} of the registry: ${error.message}`);
      }
    },
  });
}

function readBody(reader: WireReader, read: ReadAvro): ReadBody<unknown> {
  return (start, end) => {
    reader.open(start, end);
    const record = read(reader);
    reader.finish();
    return record;
  };
}

/** @throws AvroMismatch when the schema is of another kind, is none, or can't be resolved to ours */
async function compileFor(
  registry: SchemaRegistry,
  writer: RegistrySchema,
  type: AvroType,
  schema: Schema,
): Promise<ReadAvro> {
  if (writer.type !== 'AVRO') throw new AvroMismatch('', `it is of type ${writer.type}, not AVRO`);
  const references = await registry.referencesOf(writer);
  let writerType: AvroType;
  try {
    writerType = parseAvroSchema(
      writer.text,
      references.map(({ text }) => text),
    );
  } catch (error) {
    throw new AvroMismatch('', error instanceof Error ? error.message : String(error));
  }
  return compileAvroReader(writerType, type, schema);
}
