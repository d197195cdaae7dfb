/**
 * Typed job parameters: declared once with help text, given as `--param name=value`. Parsing never
 * guesses: a value that does not fit is an error that names the parameter and what would fit.
 */
import path from 'node:path';
import { MillraceError } from '../core/errors.js';

export interface Param<T> {
  readonly type: 'string' | 'path' | 'integer' | 'number' | 'boolean' | 'choice';
  readonly help: string;
  readonly default?: T;
  readonly choices?: readonly string[];
  readonly optional?: boolean;
  readonly min?: number;
  readonly max?: number;
}

export type Params = Readonly<Record<string, Param<unknown>>>;

export type ParamValues<P extends Params> = {
  readonly [K in keyof P]: P[K] extends Param<infer T> ? T : never;
};

interface ParamOptions<T> {
  readonly help: string;
  readonly default?: T;
}

interface NumberOptions extends ParamOptions<number> {
  readonly min?: number;
  readonly max?: number;
}

export const param = {
  string: (options: ParamOptions<string>): Param<string> => ({ ...options, type: 'string' }),
  /** A string that may be left out. */
  optionalString: (options: { readonly help: string }): Param<string | undefined> => ({
    ...options,
    type: 'string',
    optional: true,
  }),
  /** A file or folder; a relative one is relative to where the job is submitted, not to where it runs. */
  path: (options: ParamOptions<string>): Param<string> => ({ ...options, type: 'path' }),
  integer: (options: NumberOptions): Param<number> => ({ ...options, type: 'integer' }),
  number: (options: NumberOptions): Param<number> => ({ ...options, type: 'number' }),
  boolean: (options: ParamOptions<boolean>): Param<boolean> => ({ ...options, type: 'boolean' }),
  choice: <const C extends readonly string[]>(
    choices: C,
    options: ParamOptions<C[number]>,
  ): Param<C[number]> => ({ ...options, type: 'choice', choices }),
};

/** One line of help per parameter: `--param rate=NUMBER  records per second (default 100)`. */
export function describeParams(params: Params): string[] {
  return Object.entries(params).map(([name, p]) => {
    const kind = p.choices === undefined ? p.type.toUpperCase() : p.choices.join('|');
    const fallback =
      p.default !== undefined
        ? ` (default ${JSON.stringify(p.default)})`
        : p.optional === true
          ? ' (optional)'
          : ' (required)';
    return `--param ${name}=${kind}  ${p.help}${fallback}`;
  });
}

function parseValue(name: string, p: Param<unknown>, text: string): unknown {
  const fail = (expected: string): never => {
    throw new MillraceError(
      'PARAM_INVALID',
      `parameter "${name}" is ${JSON.stringify(text)}; give ${expected} (${p.help})`,
    );
  };
  switch (p.type) {
    case 'string':
    case 'path':
      return text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : fail('true or false');
    case 'choice':
      return p.choices?.includes(text) === true ? text : fail(`one of ${p.choices?.join(', ')}`);
    case 'integer':
    case 'number': {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      const range = `${p.min === undefined ? '' : ` of at least ${p.min}`}${p.max === undefined ? '' : ` and at most ${p.max}`}`;
      const fits =
        Number.isFinite(value) &&
        (p.type === 'number' || Number.isSafeInteger(value)) &&
        value >= (p.min ?? -Infinity) &&
        value <= (p.max ?? Infinity);
      return fits ? value : fail(`${p.type === 'integer' ? 'a whole number' : 'a number'}${range}`);
    }
  }
}

/**
 * The given texts with every path made absolute, defaults included: done once, where the job is submitted.
 * @param folder absolute path that relative ones are relative to
 */
export function resolvePaths(
  params: Params,
  given: Readonly<Record<string, string>>,
  folder: string,
): Record<string, string> {
  const resolved = { ...given };
  for (const [name, { type, default: fallback }] of Object.entries(params)) {
    if (type !== 'path') continue;
    const text = Object.hasOwn(given, name) ? given[name] : fallback;
    if (typeof text === 'string' && text !== '') resolved[name] = path.resolve(folder, text);
  }
  return resolved;
}

/**
 * Parameter values by name, with defaults filled in.
 * @throws MillraceError PARAM_INVALID naming the parameter and listing what the job takes
 */
export function parseParams<P extends Params>(
  params: P,
  given: Readonly<Record<string, string>>,
): ParamValues<P> {
  const values: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(params, name)) {
      const known = describeParams(params);
      throw new MillraceError(
        'PARAM_INVALID',
        `the job has no parameter "${name}"; ` +
          (known.length === 0 ? 'it takes none' : `it takes:\n  ${known.join('\n  ')}`),
      );
    }
  }
  for (const [name, p] of Object.entries(params)) {
    const text = Object.hasOwn(given, name) ? given[name] : undefined;
    if (text !== undefined) values[name] = parseValue(name, p, text);
    else if (p.default !== undefined || p.optional === true) values[name] = p.default;
    else {
      throw new MillraceError(
        'PARAM_INVALID',
        `parameter "${name}" is missing; add --param ${name}=... (${p.help})`,
      );
    }
  }
  return values as ParamValues<P>;
}
