/**
 * A schema registry by Confluent's interface, which Apicurio, Karapace and Redpanda speak as well. Schemas
 * never change under their id, so they are kept. Each call has a deadline and is tried again a few times;
 * it must never hang, nor show a secret.
 */
import { ExponentialBackoff, TimeoutStrategy, handleWhen, retry, timeout, wrap } from 'cockatiel';
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { resolveTls, type TlsOptions } from '../tls.js';
import { authorizationOf, type RegistryAuth } from './registry-credentials.js';
import {
  clip,
  denied,
  RegistryError,
  silent,
  unexpected,
  unreachable,
  type RegistryPlace,
} from './registry-error.js';
import { askRegistry, type RegistryAnswer, type RegistryRequest } from './registry-request.js';

export type SchemaType = 'AVRO' | 'PROTOBUF' | 'JSON';

/** A schema that another one names, by the name that it is called there. */
export interface SchemaReference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

export interface RegistrySchema {
  readonly type: SchemaType;
  readonly text: string;
  readonly references: readonly SchemaReference[];
}

export interface SchemaVersion extends RegistrySchema {
  readonly version: number;
}

export interface SchemaRegistryOptions {
  /** Such as `https://registry:8081`, or `http://apicurio:8080/apis/ccompat/v7`. */
  readonly url: string;
  readonly auth?: RegistryAuth;
  readonly tls?: TlsOptions;
  /** Of one request. */
  readonly timeoutMs: number;
}

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';
/** Beside the first. */
const RETRIES = 3;
const FIRST_DELAY_MS = 100;
const DELAY_MAX_MS = 2000;
const SCHEMAS_MAX = 1000;
/** Schemas that name schemas that name schemas. */
const REFERENCES_MAX = 100;
const REFERENCE_DEPTH_MAX = 20;
/** Confluent's codes for what is not there; another 404 comes from a place that is no registry. */
const ABSENT_CODE_MIN = 40_400;

interface Question extends Pick<RegistryRequest, 'method'> {
  readonly path: string;
  /** Such as `subject orders-value`. */
  readonly about: string;
  readonly body?: object;
}

/** What a registry answered, as far as it is understood. */
interface Answer {
  readonly place: RegistryPlace;
  readonly raw: RegistryAnswer;
  readonly body: Readonly<Record<string, unknown>>;
}

export class SchemaRegistry {
  readonly #options: SchemaRegistryOptions;
  readonly #byId = new Map<number, RegistrySchema | undefined>();

  constructor(options: SchemaRegistryOptions) {
    this.#options = options;
  }

  /** Undefined: there is none of this id. @throws MillraceError REGISTRY_UNREACHABLE, ACCESS_DENIED */
  async schemaById(id: number): Promise<RegistrySchema | undefined> {
    if (this.#byId.has(id)) return this.#byId.get(id);
    const path = `/schemas/ids/${String(id)}`;
    const answer = await this.#ask({ method: 'GET', path, about: `schema ${String(id)}` });
    const schema = answer && schemaOf(answer);
    const [oldest] = this.#byId.keys();
    if (this.#byId.size >= SCHEMAS_MAX && oldest !== undefined) this.#byId.delete(oldest);
    this.#byId.set(id, schema);
    return schema;
  }

  /** Undefined: the subject has none. */
  async version(subject: string, version: number | 'latest'): Promise<SchemaVersion | undefined> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/${String(version)}`;
    const answer = await this.#ask({ method: 'GET', path, about: `subject ${subject}` });
    return answer && { ...schemaOf(answer), version: Number(answer.body['version']) };
  }

  /**
   * The schemas that this one names, each behind those that it names itself.
   * @throws MillraceError SCHEMA_INVALID when one is not there, or there are too many
   */
  async referencesOf(schema: RegistrySchema): Promise<{ name: string; text: string }[]> {
    const found = new Map<string, { name: string; text: string }>();
    const visit = async ({ references }: RegistrySchema, depth: number): Promise<void> => {
      for (const { name, subject, version } of references) {
        const key = `${subject}@${String(version)}`;
        if (found.has(key)) continue;
        const named =
          depth < REFERENCE_DEPTH_MAX ? await this.version(subject, version) : undefined;
        if (named === undefined || found.size >= REFERENCES_MAX) {
          throw new MillraceError(
            'SCHEMA_INVALID',
            `the schema names ${key}, which ${this.#options.url} does not have, or too many others; register it there`,
          );
        }
        await visit(named, depth + 1);
        found.set(key, { name, text: named.text });
      }
    };
    await visit(schema, 0);
    return [...found.values()];
  }

  /** The id of the schema, which is made the subject's newest when it is not there yet. */
  async register(subject: string, schema: RegistrySchema): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const answer = await this.#post(subject, path, schema);
    if (answer === undefined) throw this.incompatible(subject, 'it takes no schema for it');
    if (answer.raw.status !== 409) return idOf(answer);
    throw this.incompatible(subject, reasonOf(answer.body));
  }

  /** The id of the schema under the subject; undefined when it is not there. */
  async find(subject: string, schema: RegistrySchema): Promise<number | undefined> {
    const answer = await this.#post(subject, `/subjects/${encodeURIComponent(subject)}`, schema);
    return answer && idOf(answer);
  }

  /**
   * By the rule that the registry has for the subject. Undefined: it would take the schema; else why not,
   * as far as it says.
   */
  async refusal(subject: string, schema: RegistrySchema): Promise<string | undefined> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`;
    const answer = await this.#post(subject, path, schema);
    if (answer === undefined) return undefined;
    const { is_compatible: isCompatible, messages } = answer.body;
    if (isCompatible !== false) return undefined;
    return Array.isArray(messages) ? messages.map(String).join('; ') : '';
  }

  incompatible(subject: string, reason: string, version?: number): MillraceError {
    const against = version === undefined ? '' : ` with version ${String(version)}`;
    return new MillraceError(
      'SCHEMA_INCOMPATIBLE',
      `the schema is incompatible${against} of subject ${subject} at ${this.#options.url}: ` +
        `${clip(reason) || 'the registry gives no reason'}; change the schema, or the subject's rule`,
    );
  }

  async #post(subject: string, path: string, schema: RegistrySchema): Promise<Answer | undefined> {
    const about = `subject ${subject}`;
    return this.#ask({ method: 'POST', path, about, body: requestOf(schema) });
  }

  /** Undefined: the registry has no such thing. */
  async #ask(question: Question): Promise<Answer | undefined> {
    const { timeoutMs } = this.#options;
    const patience = wrap(
      retry(
        handleWhen((error) => error instanceof RegistryError && error.retriable),
        {
          maxAttempts: RETRIES,
          backoff: new ExponentialBackoff({ initialDelay: FIRST_DELAY_MS, maxDelay: DELAY_MAX_MS }),
        },
      ),
      timeout(timeoutMs, TimeoutStrategy.Cooperative),
    );
    return patience.execute(({ signal }) => this.#attempt(question, signal));
  }

  async #attempt(question: Question, signal: AbortSignal): Promise<Answer | undefined> {
    const { url, auth, timeoutMs } = this.#options;
    const place = { url, about: question.about, hasLogin: auth !== undefined };
    try {
      return answerOf(place, await this.#send(question, signal));
    } catch (error) {
      if (isMillraceError(error)) throw error;
      throw signal.aborted ? silent(place, timeoutMs, error) : unreachable(place, error);
    }
  }

  async #send({ method, path, body }: Question, signal: AbortSignal): Promise<RegistryAnswer> {
    const { url, auth, tls } = this.#options;
    const headers = {
      accept: `${MEDIA_TYPE}, application/json`,
      ...(body === undefined ? {} : { 'content-type': MEDIA_TYPE }),
      ...(auth === undefined ? {} : { authorization: await authorizationOf(auth) }),
    };
    return askRegistry(new URL(`${url.replace(/\/+$/, '')}${path}`), {
      method,
      headers,
      signal,
      ...(tls === undefined ? {} : { tls: await resolveTls('registry.tls', tls) }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/** @throws MillraceError ACCESS_DENIED, SCHEMA_INVALID, REGISTRY_UNREACHABLE */
function answerOf(place: RegistryPlace, raw: RegistryAnswer): Answer | undefined {
  const { status } = raw;
  if (status === 401 || status === 403) throw denied(place, status);
  const body = parseBody(raw.text);
  if (body === undefined) throw unexpected(place, raw);
  if (status === 200 || status === 409) return { place, raw, body };
  const { error_code: code } = body;
  if (status === 404 && typeof code === 'number' && code >= ABSENT_CODE_MIN) return undefined;
  if (status === 422 || status === 400) {
    const { url, about } = place;
    throw new MillraceError(
      'SCHEMA_INVALID',
      `the schema registry ${url} refuses the schema for ${about}: ${clip(reasonOf(body))}; correct the schema`,
    );
  }
  throw unexpected(place, raw, clip(reasonOf(body)));
}

function schemaOf({ place, raw, body }: Answer): RegistrySchema {
  const { schema, schemaType, references } = body;
  if (typeof schema !== 'string') throw unexpected(place, raw, 'without a schema');
  return {
    type: schemaType === 'PROTOBUF' || schemaType === 'JSON' ? schemaType : 'AVRO',
    text: schema,
    references: Array.isArray(references) ? (references as SchemaReference[]) : [],
  };
}

function idOf({ place, raw, body }: Answer): number {
  if (typeof body['id'] === 'number') return body['id'];
  throw unexpected(place, raw, 'without an id');
}

function requestOf({ type, text, references }: RegistrySchema): object {
  return {
    schema: text,
    // Registries of before other types know no such field.
    ...(type === 'AVRO' ? {} : { schemaType: type }),
    ...(references.length === 0 ? {} : { references }),
  };
}

/** Undefined: it is no object of JSON. */
function parseBody(text: string): Answer['body'] | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? (body as Answer['body']) : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf({ message }: Answer['body']): string {
  return typeof message === 'string' ? message : 'no reason given';
}
