/** The public door of the file connectors: `import { fileSource, fileSink, jsonLines } from 'millrace/files'`. */
export { fileSource, type FileSourceOptions } from './file-source.js';
export { fileSink, type FileSinkOptions } from './file-sink.js';
export { jsonLines } from './json-lines.js';
export { csv, type CsvOptions } from './csv.js';
export type { FileCommittable } from './file-committable.js';
export type { FileFormat, ReadableFormat } from './file-format.js';
export type { FileSplit } from './file-split.js';
