/** Protobuf as a format of Kafka's keys and values, plain or with the schemas of a registry. */
import type { Schema } from '../../api/schema.js';
import { MillraceError } from '../../core/errors.js';
import {
  checkOptions,
  fitting,
  isRecord,
  optional,
  schema as schemaRule,
  text,
} from '../../core/option-check.js';
import { FormatError, type Decoder, type Format } from './format.js';
import { FramedDecoder, type ReadBody } from './framed-decoder.js';
import { compileProtobufReader, type ReadProtobuf } from './protobuf-reader.js';
import { checkMessage, messageDifference, schemaOfMessage } from './protobuf-schema.js';
import { parseProto, type ProtoEntry, type ProtoFile } from './protobuf-type.js';
import { compileProtobufWriter } from './protobuf-writer.js';
import {
  checkReferringRegistry,
  RegisteredFormat,
  type ReferringRegistryOptions,
} from './registered-format.js';
import type { RegistrySchema, SchemaRegistry } from './schema-registry.js';
import { WireEncoder } from './wire-encoder.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

export interface ProtobufOptions<T> {
  /** The text of the .proto file. */
  readonly proto: string;
  /** The message of the file, as it is called there: `Order`, or `Outer.Inner`. */
  readonly message: string;
  /** Texts of what it imports, by path; `google/protobuf/*` is there. */
  readonly imports?: Readonly<Record<string, string>>;
  /** What the job works with; it may leave fields out. Made from the message when it is not given. */
  readonly schema?: Schema<T>;
  /** With it records carry the id of their writer's schema, and where the message stands in it. */
  readonly registry?: ReferringRegistryOptions;
}

/** Messages within messages within messages. */
const INDEXES_MAX = 32;
const PREFIX_BYTES_MAX = 16 * INDEXES_MAX;

/**
 * Protobuf's binary encoding, proto3 and proto2 without groups. 32-bit integers are t.int32, unsigned
 * ones t.float64; 64-bit ones t.int64 (or t.float64, checked to be below 2^53); an enum t.literal,
 * `google.protobuf.Timestamp` t.timestamp, `repeated` t.array, a map with string keys t.map. What can be
 * absent (messages, `optional`, fields of a `oneof`) is t.optional; a schema that has it otherwise refuses
 * records without it.
 * @throws MillraceError SCHEMA_INVALID naming the field that does not fit, PARAM_INVALID naming the option
 */
export function protobuf<T>(
  options: ProtobufOptions<T> & { readonly schema: Schema<T> },
): Format<T>;
export function protobuf(
  options: ProtobufOptions<unknown>,
): Format<Readonly<Record<string, unknown>>>;
export function protobuf(options: ProtobufOptions<unknown>): Format<unknown> {
  checkOptions('protobuf', options, {
    proto: text('the text of the .proto file'),
    message: text('the name of a message of the file'),
    imports: optional(fitting('texts by path: { "other.proto": "..." }', isRecord)),
    schema: optional(schemaRule),
    registry: optional(checkReferringRegistry),
  });
  const file = parseProto(options.proto, new Map(Object.entries(options.imports ?? {})));
  const entry = findMessage(file, options.message);
  const schema = options.schema ?? schemaOfMessage(entry.message);
  checkMessage(entry.message, schema);
  const registered =
    options.registry &&
    new RegisteredFormat(options.registry, {
      type: 'PROTOBUF',
      text: options.proto,
      references: options.registry.references ?? [],
    });
  return {
    name: 'protobuf',
    schema,
    createDecoder: () => {
      const reader = new WireReader();
      const read = compileProtobufReader(entry.message, schema);
      return registered === undefined
        ? plainDecoder(reader, read)
        : framedDecoder(registered.registry, reader, entry, read);
    },
    createEncoder: async (context) => {
      const write = compileProtobufWriter(entry.message, schema);
      const frame = await registered?.prefix(context);
      const prefix =
        frame === undefined ? Buffer.alloc(0) : Buffer.concat([frame, writeIndexes(entry.indexes)]);
      return new WireEncoder('Protobuf', schema, write, prefix);
    },
    check: async (context, use) => {
      const checkLatest = async (latest: RegistrySchema): Promise<void> => {
        if (registered === undefined) return;
        const file = await writtenFile(registered.registry, latest);
        const { message } = findMessage(file, entry.localName);
        const difference = messageDifference(message, entry.message);
        if (difference !== undefined) throw new MillraceError('SCHEMA_INVALID', difference);
      };
      await (use === 'read'
        ? registered?.checkReading(context, checkLatest)
        : registered?.checkWriting(context, checkLatest));
    },
  };
}

function plainDecoder(reader: WireReader, read: ReadProtobuf): Decoder<unknown> {
  return {
    begin: (bytes) => reader.begin(bytes),
    decode: (start, end) => {
      reader.open(start, end);
      return read(reader);
    },
  };
}

function framedDecoder(
  registry: SchemaRegistry,
  reader: WireReader,
  entry: ProtoEntry,
  read: ReadProtobuf,
): Decoder<unknown> {
  return new FramedDecoder({
    begin: (bytes) => reader.begin(bytes),
    open: async (id) => {
      const written = await registry.schemaById(id);
      if (written === undefined) throw new FormatError(`the registry has no schema ${String(id)}`);
      try {
        return bodyReader(reader, await writtenFile(registry, written), entry, read);
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'SCHEMA_INVALID') throw error;
        throw new FormatError(`schema ${String(id)} of the registry: ${error.message}`);
      }
    },
  });
}

/** Messages of another name are refused: their bytes would be read as something that they are not. */
function bodyReader(
  reader: WireReader,
  written: ProtoFile,
  entry: ProtoEntry,
  read: ReadProtobuf,
): ReadBody<unknown> {
  const problems = new Map(
    written.map((one) => {
      const difference =
        one.localName === entry.localName
          ? messageDifference(one.message, entry.message)
          : `it holds the message ${one.message.name}, not ${entry.message.name}`;
      return [one.indexes.join(), difference];
    }),
  );
  return (start, end) => {
    reader.open(start, end);
    const indexes = readIndexes(reader);
    if (!problems.has(indexes)) throw new FormatError(`its schema has no message ${indexes}`);
    const problem = problems.get(indexes);
    if (problem !== undefined) throw new FormatError(problem);
    return read(reader);
  };
}

async function writtenFile(registry: SchemaRegistry, schema: RegistrySchema): Promise<ProtoFile> {
  if (schema.type !== 'PROTOBUF') {
    throw new MillraceError(
      'SCHEMA_INVALID',
      `the schema is of type ${schema.type}, not PROTOBUF; give the format of that type`,
    );
  }
  const references = await registry.referencesOf(schema);
  return parseProto(schema.text, new Map(references.map(({ name, text }) => [name, text])));
}

function findMessage(file: ProtoFile, name: string): ProtoEntry {
  const found = file.find(({ localName, message }) => localName === name || message.name === name);
  if (found !== undefined) return found;
  const names = file.map(({ localName }) => localName).join(', ');
  throw new MillraceError(
    'SCHEMA_INVALID',
    `the .proto file has no message ${name}; name one of ${names || 'a file that has some'}`,
  );
}

/** The first message of a file, which most are, is a single 0. */
function writeIndexes(indexes: readonly number[]): Uint8Array {
  const target = Buffer.alloc(PREFIX_BYTES_MAX);
  const writer = new WireWriter();
  writer.begin(target, 0);
  if (indexes.length === 1 && indexes[0] === 0) writer.zigzag(0);
  else for (const number of [indexes.length, ...indexes]) writer.zigzag(number);
  return target.subarray(0, writer.at);
}

function readIndexes(reader: WireReader): string {
  const count = reader.zigzag();
  if (count === 0) return '0';
  if (count < 0 || count > INDEXES_MAX) {
    throw new FormatError(`a message at ${String(count)} indexes`);
  }
  return Array.from({ length: count }, () => reader.zigzag()).join();
}
