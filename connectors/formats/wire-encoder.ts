/** Records in a binary encoding behind bytes that are the same for all, such as the id of their schema. */
import type { Schema } from '../../api/schema.js';
import type { Encoder } from './format.js';
import { mismatchOf } from './record-mismatch.js';
import { WireWriter } from './wire-writer.js';

export class WireEncoder<T> implements Encoder<T> {
  readonly #writer = new WireWriter();

  constructor(
    /** For messages: `Avro`. */
    private readonly format: string,
    private readonly schema: Schema<T>,
    private readonly write: (record: unknown, writer: WireWriter) => void,
    private readonly prefix: Uint8Array,
  ) {}

  encode(record: T, target: Buffer, start: number): number {
    const writer = this.#writer;
    writer.begin(target, start);
    if (this.prefix.length > 0) writer.bytes(this.prefix);
    try {
      this.write(record, writer);
    } catch (error) {
      throw mismatchOf(this.format, this.schema, record, error);
    }
    return writer.end;
  }
}
