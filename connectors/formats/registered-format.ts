/**
 * What formats with a schema registry share: the option, the name of the subject, the id that a writer's
 * records begin with, and the check at submit. Registers nothing but in `prefix`.
 */
import { MillraceError } from '../../core/errors.js';
import {
  fitting,
  flag,
  group,
  optional,
  shown,
  text,
  wrong,
  type OptionRules,
} from '../../core/option-check.js';
import { checkTls, type TlsOptions } from '../tls.js';
import type { FormatContext } from './format.js';
import { framePrefix } from './framed-decoder.js';
import { checkRegistryAuth, type RegistryAuth } from './registry-credentials.js';
import {
  SchemaRegistry,
  type RegistrySchema,
  type SchemaReference,
  type SchemaVersion,
} from './schema-registry.js';

/** With a registry records have Confluent's wire format: a byte 0, the schema's id of 4 bytes, the record. */
export interface RegistryOptions {
  /** Such as `https://registry:8081`, or `http://apicurio:8080/apis/ccompat/v7`. */
  readonly url: string;
  readonly auth?: RegistryAuth;
  /** What an https URL needs beside the machine's trust store. */
  readonly tls?: TlsOptions;
  /** Under which the schema stands; else `TOPIC-value` or `TOPIC-key`. */
  readonly subject?: string;
  /** Whether a writer puts a schema there that the subject does not have; default true. */
  readonly autoRegister?: boolean;
  /** Of one request to the registry; default 5,000. */
  readonly timeoutMs?: number;
}

/** Of formats whose schemas name others. */
export interface ReferringRegistryOptions extends RegistryOptions {
  /** Where the registry has what the file imports; asked for only when it imports others' files. */
  readonly references?: readonly SchemaReference[];
}

/** Throws an error that says why what was written by this schema can't be read. */
export type CheckLatest = (latest: SchemaVersion) => Promise<void>;

const TIMEOUT_MS_DEFAULT = 5000;
const TIMEOUT_MS_MAX = 600_000;

const RULES: OptionRules<RegistryOptions> = {
  url: checkUrl,
  auth: optional(checkRegistryAuth),
  tls: optional(checkTls),
  subject: optional(text('the name of a subject')),
  autoRegister: optional(flag),
  timeoutMs: optional(
    fitting('1 to 600,000 ms', (value) => Number(value) >= 1 && Number(value) <= TIMEOUT_MS_MAX),
  ),
};
const checkFields = group<RegistryOptions>(RULES);
const checkReferringFields = group<ReferringRegistryOptions>({
  ...RULES,
  references: optional(fitting('a list of { name, subject, version }', Array.isArray)),
});

/** @throws MillraceError PARAM_INVALID */
export function checkRegistry(name: string, value: unknown): void {
  checkFields(name, value);
  checkScheme(name, value as RegistryOptions);
}

/** @throws MillraceError PARAM_INVALID */
export function checkReferringRegistry(name: string, value: unknown): void {
  checkReferringFields(name, value);
  checkScheme(name, value as RegistryOptions);
}

function checkScheme(name: string, { url, tls }: RegistryOptions): void {
  if (tls === undefined || new URL(url).protocol === 'https:') return;
  throw invalid(`${name}.url is ${url} and its tls is set`, 'begin it with https://');
}

export class RegisteredFormat {
  readonly registry: SchemaRegistry;
  readonly #options: RegistryOptions;
  readonly #schema: RegistrySchema;

  /** @param options as `checkRegistry` lets pass */
  constructor(options: RegistryOptions, schema: RegistrySchema) {
    const { url, auth, tls, timeoutMs = TIMEOUT_MS_DEFAULT } = options;
    this.#options = options;
    this.#schema = schema;
    this.registry = new SchemaRegistry({
      url,
      timeoutMs,
      ...(auth === undefined ? {} : { auth }),
      ...(tls === undefined ? {} : { tls }),
    });
  }

  /**
   * What stands before each record that is written.
   * @throws MillraceError SCHEMA_INCOMPATIBLE, SCHEMA_INVALID, REGISTRY_UNREACHABLE, ACCESS_DENIED
   */
  async prefix(context: FormatContext): Promise<Buffer> {
    const subject = this.#subject(context);
    if (this.#options.autoRegister !== false) {
      return framePrefix(await this.registry.register(subject, this.#schema));
    }
    return framePrefix(await this.#find(subject));
  }

  /**
   * Whether the registry would take the schema, or has it where it may not be registered.
   * @param explain as `check` of `checkReading`, for registries that give no reason
   * @throws MillraceError as `prefix` does
   */
  async checkWriting(context: FormatContext, explain: CheckLatest): Promise<void> {
    const subject = this.#subject(context);
    if (this.#options.autoRegister === false) {
      await this.#find(subject);
      return;
    }
    const refusal = await this.registry.refusal(subject, this.#schema);
    if (refusal === undefined) return;
    const latest = await this.registry.version(subject, 'latest');
    const reason = refusal || (latest && (await reasonOf(explain, latest))) || '';
    throw this.registry.incompatible(subject, reason, latest?.version);
  }

  /**
   * Whether what the newest schema of the subject wrote can be read; a subject without any is fine.
   * @throws MillraceError SCHEMA_INCOMPATIBLE, REGISTRY_UNREACHABLE, ACCESS_DENIED
   */
  async checkReading(context: FormatContext, check: CheckLatest): Promise<void> {
    const subject = this.#subject(context);
    const latest = await this.registry.version(subject, 'latest');
    const reason = latest && (await reasonOf(check, latest));
    if (reason !== undefined) throw this.registry.incompatible(subject, reason, latest?.version);
  }

  async #find(subject: string): Promise<number> {
    const id = await this.registry.find(subject, this.#schema);
    if (id !== undefined) return id;
    throw new MillraceError(
      'SCHEMA_INCOMPATIBLE',
      `subject ${subject} at ${this.#options.url} does not have the schema; register it there, or allow autoRegister`,
    );
  }

  #subject({ subject, topic, part }: FormatContext): string {
    const own = this.#options.subject;
    if (own !== undefined) return own;
    if (topic !== undefined && part !== undefined) return `${topic}-${part}`;
    throw invalid(
      `${subject} has no topic to name the registry's subject by`,
      'give registry.subject',
    );
  }
}

async function reasonOf(check: CheckLatest, latest: SchemaVersion): Promise<string | undefined> {
  try {
    await check(latest);
    return undefined;
  } catch (error) {
    if (error instanceof MillraceError && error.code !== 'SCHEMA_INVALID') throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

function checkUrl(name: string, url: unknown): void {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw wrong(name, shown(url), 'one that begins with http(s)://');
  }
  if (parsed.password !== '' || parsed.username !== '') {
    throw invalid(`${name} holds a login`, 'give it as registry.auth, which keeps it secret');
  }
}

function invalid(what: string, remedy: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `${what}; ${remedy}`);
}
