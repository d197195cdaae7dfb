/**
 * The broadcast states of one operator in one subtask: maps that every subtask builds from the same
 * records (journey of a record: operator chain -> broadcast state). What is kept are frozen copies of
 * what was put, as a restore would make them, so that no subtask can come to hold something else. It
 * must never be changed but while a broadcast record is being processed.
 */
import type { BroadcastState, BroadcastStates, ReadOnlyBroadcastState } from '../../api/state.js';
import { MillraceError } from '../../core/errors.js';
import type { Schema } from '../../core/schema.js';
import { compileValueCodec, type ValueCodec } from '../../core/value-codec.js';
import type { BroadcastEntry } from './operator-state.js';

export class BroadcastStateStore {
  /** The handle of each state, for either side. */
  readonly readOnly: Readonly<Record<string, ReadOnlyBroadcastState<unknown>>>;
  readonly writable: Readonly<Record<string, BroadcastState<unknown>>>;
  readonly #states: ReadonlyMap<string, StoredState>;
  #isOpen = false;

  /** @param restored entries of the states as they are declared now */
  constructor(states: BroadcastStates, restored: readonly BroadcastEntry[]) {
    const isOpen = (): boolean => this.#isOpen;
    this.#states = new Map(
      Object.entries(states).map(([name, { schema }]) => [
        name,
        new StoredState(name, schema, isOpen),
      ]),
    );
    for (const { state, key, value } of restored) {
      this.#states.get(state)?.values.set(key, frozen(value));
    }
    this.readOnly = Object.fromEntries(
      [...this.#states].map(([name, state]) => [name, new ReadOnlyHandle(state.values)]),
    );
    this.writable = Object.fromEntries(this.#states);
  }

  /** Lets `change` put and remove. */
  write(change: () => void): void {
    this.#isOpen = true;
    try {
      change();
    } finally {
      this.#isOpen = false;
    }
  }

  /** Everything in all states, as of this call. */
  entries(): BroadcastEntry[] {
    return [...this.#states].flatMap(([state, { values }]) =>
      Array.from(values, ([key, value]) => ({ state, key, value })),
    );
  }
}

class ReadOnlyHandle implements ReadOnlyBroadcastState<unknown> {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  get(key: string): unknown {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  entries(): IterableIterator<[string, unknown]> {
    return this.#values.entries();
  }

  isEmpty(): boolean {
    return this.#values.size === 0;
  }
}

class StoredState extends ReadOnlyHandle implements BroadcastState<unknown> {
  readonly values: Map<string, unknown>;
  readonly #name: string;
  readonly #codec: ValueCodec<unknown>;
  readonly #isOpen: () => boolean;

  constructor(name: string, schema: Schema, isOpen: () => boolean) {
    const values = new Map<string, unknown>();
    super(values);
    this.values = values;
    this.#name = name;
    this.#codec = compileValueCodec(schema);
    this.#isOpen = isOpen;
  }

  put(key: string, value: unknown): void {
    this.#checkOpen();
    if (typeof key !== 'string') {
      throw new MillraceError(
        'STATE_INVALID',
        `broadcast state "${this.#name}" was given a key that is a ${typeof key}; make it a string`,
      );
    }
    this.values.set(key, frozen(this.#codec.decode(this.#encode(value))));
  }

  remove(key: string): void {
    this.#checkOpen();
    this.values.delete(key);
  }

  clear(): void {
    this.#checkOpen();
    this.values.clear();
  }

  #encode(value: unknown): Uint8Array {
    try {
      return this.#codec.encode(value);
    } catch (error) {
      throw new MillraceError(
        'SCHEMA_MISMATCH',
        `broadcast state "${this.#name}" was given what its schema does not describe: ` +
          (error instanceof Error ? error.message : String(error)),
        { cause: error },
      );
    }
  }

  #checkOpen(): void {
    if (this.#isOpen()) return;
    throw new MillraceError(
      'STATE_INVALID',
      `broadcast state "${this.#name}" is changed outside of onBroadcastElement, so other subtasks would not know; ` +
        'change it there only',
    );
  }
}

/** The same value, whose objects and arrays can't be changed any more. */
function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  const parts =
    value instanceof Map ? [...(value as Map<unknown, unknown>).values()] : Object.values(value);
  for (const part of parts) frozen(part);
  return Object.freeze(value);
}
