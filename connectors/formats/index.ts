/** The public door of the formats: `import { json } from 'millrace/formats'`. */
export { avro, type AvroOptions } from './avro.js';
export { json, type JsonFormat, type JsonOptions } from './json.js';
export { protobuf, type ProtobufOptions } from './protobuf.js';
export { raw } from './raw.js';
export { text } from './text.js';
export { FormatError, type EncodingFormat, type Format } from './format.js';
export type { RegistryOptions } from './registered-format.js';
