/**
 * What a job gets of a Kafka record: its value, or an envelope with all of it (record columns -> record
 * decoder -> source output). A record must share no memory with the batch that it came in.
 */
import type { TopicPartition } from './kafka-request.js';
import { FormatError, type Decoder } from '../formats/format.js';
import type { KafkaHeader, KafkaRecord } from './kafka-record.js';
import { readHeaders, type RecordColumns } from './record-columns.js';

export interface RecordDecoder<T> {
  /** The columns that the indexes of the other calls point into. */
  begin(columns: RecordColumns): void;
  /** False: the record is none for the job. */
  has(index: number): boolean;
  /**
   * @throws FormatError when its bytes hold no record of the schema
   * @throws SchemaMissing when a schema has to be fetched first
   */
  decode(index: number): T;
}

/** What becomes of a record without a value, where a job asks for values only. */
export type TombstonePolicy = 'skip' | 'deadLetter';

/** Before the first batch. */
const NO_COLUMNS: RecordColumns = {
  bytes: Buffer.alloc(0),
  count: 0,
  offsets: new Float64Array(0),
  timestamps: new Float64Array(0),
  keyStarts: new Int32Array(0),
  keyEnds: new Int32Array(0),
  valueStarts: new Int32Array(0),
  valueEnds: new Int32Array(0),
  headerStarts: new Int32Array(0),
};

export class ValueDecoder<V> implements RecordDecoder<V> {
  readonly #value: Decoder<V>;
  readonly #skipsTombstones: boolean;
  #columns = NO_COLUMNS;

  constructor(value: Decoder<V>, tombstones: TombstonePolicy) {
    this.#value = value;
    this.#skipsTombstones = tombstones === 'skip';
  }

  begin(columns: RecordColumns): void {
    this.#columns = columns;
    this.#value.begin(columns.bytes);
  }

  has(index: number): boolean {
    return !this.#skipsTombstones || (this.#columns.valueStarts[index] ?? -1) >= 0;
  }

  decode(index: number): V {
    const start = this.#columns.valueStarts[index] ?? -1;
    if (start < 0) throw new FormatError('the value is null');
    return this.#value.decode(start, this.#columns.valueEnds[index] ?? 0);
  }
}

/** What records with keys are made of; each of them is one for the job. */
export abstract class KeyValueDecoder<K, V, R> implements RecordDecoder<R> {
  protected columns = NO_COLUMNS;
  readonly #key: Decoder<K>;
  readonly #value: Decoder<V>;

  constructor(key: Decoder<K>, value: Decoder<V>) {
    this.#key = key;
    this.#value = value;
  }

  begin(columns: RecordColumns): void {
    this.columns = columns;
    this.#key.begin(columns.bytes);
    this.#value.begin(columns.bytes);
  }

  has(): boolean {
    return true;
  }

  abstract decode(index: number): R;

  protected hasKey(index: number): boolean {
    return (this.columns.keyStarts[index] ?? -1) >= 0;
  }

  /** Of a record that has one. @throws FormatError that says that it is the key's */
  protected key(index: number): K {
    const { keyStarts, keyEnds } = this.columns;
    try {
      return this.#key.decode(keyStarts[index] ?? 0, keyEnds[index] ?? 0);
    } catch (error) {
      if (error instanceof FormatError) throw new FormatError(`key: ${error.message}`);
      throw error;
    }
  }

  protected hasValue(index: number): boolean {
    return (this.columns.valueStarts[index] ?? -1) >= 0;
  }

  /** Of a record that has one. @throws FormatError */
  protected value(index: number): V {
    const { valueStarts, valueEnds } = this.columns;
    return this.#value.decode(valueStarts[index] ?? 0, valueEnds[index] ?? 0);
  }
}

export class EnvelopeDecoder<K, V> extends KeyValueDecoder<K, V, KafkaRecord<K, V>> {
  readonly #place: TopicPartition;

  constructor({ topic, partition }: TopicPartition, key: Decoder<K>, value: Decoder<V>) {
    super(key, value);
    this.#place = { topic, partition };
  }

  decode(index: number): KafkaRecord<K, V> {
    const { offsets, timestamps } = this.columns;
    return {
      ...this.#place,
      offset: offsets[index] ?? -1,
      timestamp: timestamps[index] ?? -1,
      ...(this.hasKey(index) ? { key: this.key(index) } : {}),
      ...(this.hasValue(index) ? { value: this.value(index) } : {}),
      headers: readHeaders(this.columns, index).map(ownHeader),
    };
  }
}

function ownHeader({ key, value }: { key: string; value: Uint8Array | null }): KafkaHeader {
  return value === null ? { key } : { key, value: new Uint8Array(value) };
}
