/**
 * The options of a job, connector or format, checked where the job is built: jobs are submitted without a type check,
 * so that a name which is not known, or a value of another kind, is told here or never. Messages name the function, the
 * option, what was given and what may be given. It must never show what may be a secret.
 */
import { MillraceError } from './errors.js';
import { isSchema } from './schema.js';
import { describeValue } from './schema-text.js';

/**
 * Looks at one value; undefined is an option that is left out.
 * @param name how messages call it: `kafkaSource: connection.tls`
 * @throws MillraceError PARAM_INVALID unless it may be given
 */
export type OptionRule = (name: string, value: unknown) => void;

/** One rule for each option that there is, of each member of a union. */
export type OptionRules<O> = { readonly [K in KeyOf<O>]: OptionRule };
type KeyOf<O> = O extends unknown ? keyof O : never;

const TEXT_LENGTH_MAX = 64;
/** Of a name's letters so many may be wrong, and it still is taken for the other. */
const MISSPELT_MAX = 2 / 5;

/**
 * @param owner the function that takes the options
 * @returns those that are not undefined
 * @throws MillraceError PARAM_INVALID naming function and option
 */
export function checkOptions<O extends object>(
  owner: string,
  options: O,
  rules: OptionRules<NoInfer<O>>,
): O {
  if (!isRecord(options)) {
    throw invalid(`${owner}: got ${kindOf(options)}`, `give options: { ${listOf(rules)} }`);
  }
  checkEach(`${owner}: `, options, rules);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as O;
}

/** An object of options of its own. */
export function group<O extends object>(rules: OptionRules<O>): OptionRule {
  return (name, value) => {
    if (!isRecord(value)) throw wrong(name, kindOf(value), `{ ${listOf(rules)} }`);
    checkEach(`${name}.`, value, rules);
  };
}

/** @param expected as in "give ..." */
export function fitting(expected: string, fits: (value: unknown) => boolean): OptionRule {
  return (name, value) => {
    if (!fits(value)) throw wrong(name, shown(value), expected);
  };
}

/**
 * What a function makes, whose call is easily forgotten.
 * @param call such as `json(Schema)`
 */
export function made(
  expected: string,
  call: string,
  fits: (value: unknown) => boolean,
): OptionRule {
  const checkMade = fitting(expected, fits);
  return (name, value) => {
    if (typeof value === 'function')
      throw invalid(`${name} is a function`, `call it, as in ${call}`);
    checkMade(name, value);
  };
}

export function optional(rule: OptionRule): OptionRule {
  return (name, value) => {
    if (value !== undefined) rule(name, value);
  };
}

export function oneOf(choices: readonly string[]): OptionRule {
  return fitting(`one of ${choices.join(', ')}`, (value) => choices.includes(value as string));
}

export function wholeNumber(min: number, expected?: string): OptionRule {
  return fitting(
    expected ?? `a whole number from ${String(min)}`,
    (value) => Number.isSafeInteger(value) && Number(value) >= min,
  );
}

/** A text that is not empty. */
export function text(expected: string): OptionRule {
  return fitting(expected, (value) => typeof value === 'string' && value !== '');
}

/** @param signature such as `(record) => key` */
export function callback(signature: string): OptionRule {
  return fitting(`a function ${signature}`, (value) => typeof value === 'function');
}

export const flag: OptionRule = fitting('true or false', (value) => typeof value === 'boolean');

export const schema: OptionRule = fitting('a schema, such as t.record({ id: t.string })', isSchema);

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What was given is no secret. */
export function wrong(name: string, found: string, expected: string): MillraceError {
  return invalid(`${name} is ${found === 'nothing' ? 'missing' : found}`, `give ${expected}`);
}

/** A value that may be shown. */
export function shown(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') return describeValue(value);
  const whole = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return whole.length <= TEXT_LENGTH_MAX ? whole : `${whole.slice(0, TEXT_LENGTH_MAX)}...`;
}

function kindOf(value: unknown): string {
  return typeof value === 'object'
    ? describeValue(value)
    : value === undefined
      ? 'nothing'
      : `a ${typeof value}`;
}

function checkEach(
  prefix: string,
  options: Readonly<Record<string, unknown>>,
  rules: Readonly<Record<string, OptionRule>>,
): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(rules, name)) continue;
    const near = nearest(name, Object.keys(rules));
    throw invalid(
      `${prefix}${name} is no option`,
      near === undefined ? `there are ${listOf(rules)}` : `did you mean ${near}?`,
    );
  }
  for (const [name, rule] of Object.entries(rules)) rule(prefix + name, options[name]);
}

function listOf(rules: object): string {
  return Object.keys(rules).join(', ');
}

function nearest(name: string, known: readonly string[]): string | undefined {
  const [first] = known
    .map((other) => ({ other, distance: editDistance(name.toLowerCase(), other.toLowerCase()) }))
    .filter(({ other, distance }) => distance <= MISSPELT_MAX * other.length)
    .sort((a, b) => a.distance - b.distance);
  return first?.other;
}

/** Letters to put in, leave out or exchange. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [row, letter] of [...a].entries()) {
    const line = [row + 1];
    for (const [column, other] of [...b].entries()) {
      const exchanged = (above[column] ?? 0) + (letter === other ? 0 : 1);
      line.push(Math.min(exchanged, (above[column + 1] ?? 0) + 1, (line[column] ?? 0) + 1));
    }
    above = line;
  }
  return above[b.length] ?? 0;
}

function invalid(what: string, remedy: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `${what}; ${remedy}`);
}
