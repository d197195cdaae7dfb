/**
 * Reads untrusted plain data (parsed JSON) into typed values, one field at a time. It never trusts
 * a prototype, and every refusal names the field by its path. Pure.
 */

/** A field that isn't what it must be; whoever reads turns it into an error of its own domain. */
export class JsonShapeError extends Error {
  constructor(
    readonly path: string,
    readonly expected: string,
  ) {
    super(`${path} must be ${expected}`);
    this.name = 'JsonShapeError';
  }
}

/** One value at a path of a document. */
export class JsonReader {
  constructor(
    readonly value: unknown,
    readonly path: string,
  ) {}

  /** The reader of an object's own field; its value is undefined when there is none. */
  field(name: string): JsonReader {
    return new JsonReader(
      Object.hasOwn(this.#object(), name) ? this.#object()[name] : undefined,
      `${this.path}.${name}`,
    );
  }

  /** The own fields of an object, by name. */
  fields(): readonly (readonly [string, JsonReader])[] {
    return Object.keys(this.#object()).map((name) => [name, this.field(name)] as const);
  }

  items(countMax: number): readonly JsonReader[] {
    if (!Array.isArray(this.value)) throw new JsonShapeError(this.path, 'an array');
    if (this.value.length > countMax) {
      throw new JsonShapeError(this.path, `an array of at most ${countMax} items`);
    }
    return this.value.map((item: unknown, index) => new JsonReader(item, `${this.path}[${index}]`));
  }

  string(lengthMax = 4096): string {
    if (typeof this.value !== 'string' || this.value.length > lengthMax) {
      throw new JsonShapeError(this.path, `a string of at most ${lengthMax} characters`);
    }
    return this.value;
  }

  boolean(): boolean {
    if (typeof this.value !== 'boolean') throw new JsonShapeError(this.path, 'true or false');
    return this.value;
  }

  number(): number {
    if (typeof this.value !== 'number' || !Number.isFinite(this.value)) {
      throw new JsonShapeError(this.path, 'a number');
    }
    return this.value;
  }

  /** A whole number from 0 to 2^53 - 1. */
  count(): number {
    const value = this.number();
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new JsonShapeError(this.path, 'a whole number that is not negative');
    }
    return value;
  }

  oneOf<const C extends readonly string[]>(choices: C): C[number] {
    const found = choices.find((choice) => choice === this.value);
    if (found === undefined) throw new JsonShapeError(this.path, `one of ${choices.join(', ')}`);
    return found;
  }

  /** `{ [name]: value }`, or `{}` where the field is absent: for optional properties. */
  optional<N extends string, T>(name: N, read: (reader: JsonReader) => T): { [K in N]?: T } {
    const reader = this.field(name);
    return (reader.value === undefined ? {} : { [name]: read(reader) }) as { [K in N]?: T };
  }

  #object(): Readonly<Record<string, unknown>> {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new JsonShapeError(this.path, 'an object');
    }
    return value as Readonly<Record<string, unknown>>;
  }
}
