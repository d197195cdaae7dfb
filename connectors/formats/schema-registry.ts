/**
 * A schema registry by Confluent's interface, which Apicurio, Karapace and Redpanda speak as well. Schemas
 * never change under their id, so they are kept. Each call has a deadline and is tried again a few times;
 * it must never hang, nor show a secret.
 */
import { ExponentialBackoff, TimeoutStrategy, handleWhen, retry, timeout, wrap } from 'cockatiel';
import { isMillraceError, MillraceError, type ErrorCode } from '../../core/errors.js';
import { authorizationOf, type RegistryAuth } from './registry-credentials.js';

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
const REASON_LENGTH_MAX = 1000;

/** What a registry answered, as far as it is understood. */
interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A failure that may pass. */
class Passing extends MillraceError {}

export class SchemaRegistry {
  readonly #options: SchemaRegistryOptions;
  readonly #byId = new Map<number, RegistrySchema | undefined>();

  constructor(options: SchemaRegistryOptions) {
    this.#options = options;
  }

  /** Undefined: there is none of this id. @throws MillraceError REGISTRY_UNREACHABLE, ACCESS_DENIED */
  async schemaById(id: number): Promise<RegistrySchema | undefined> {
    if (this.#byId.has(id)) return this.#byId.get(id);
    const answer = await this.#request('GET', `/schemas/ids/${String(id)}`);
    const schema = answer.status === 404 ? undefined : this.#schemaOf(this.#accepted(answer));
    const [oldest] = this.#byId.keys();
    if (this.#byId.size >= SCHEMAS_MAX && oldest !== undefined) this.#byId.delete(oldest);
    this.#byId.set(id, schema);
    return schema;
  }

  /** Undefined: the subject has none. */
  async version(subject: string, version: number | 'latest'): Promise<SchemaVersion | undefined> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/${String(version)}`;
    const answer = await this.#request('GET', path);
    if (answer.status === 404) return undefined;
    const body = this.#accepted(answer);
    return { ...this.#schemaOf(body), version: Number(body['version']) };
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
    const answer = await this.#request('POST', path, requestOf(schema));
    if (answer.status !== 409) return this.#idOf(this.#accepted(answer, subject));
    throw this.incompatible(subject, reasonOf(answer.body));
  }

  /** The id of the schema under the subject; undefined when it is not there. */
  async find(subject: string, schema: RegistrySchema): Promise<number | undefined> {
    const path = `/subjects/${encodeURIComponent(subject)}`;
    const answer = await this.#request('POST', path, requestOf(schema));
    return answer.status === 404 ? undefined : this.#idOf(this.#accepted(answer, subject));
  }

  /**
   * By the rule that the registry has for the subject. Undefined: it would take the schema; else why not,
   * as far as it says.
   */
  async refusal(subject: string, schema: RegistrySchema): Promise<string | undefined> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`;
    const answer = await this.#request('POST', path, requestOf(schema));
    if (answer.status === 404) return undefined;
    const { is_compatible: isCompatible, messages } = this.#accepted(answer, subject);
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

  #schemaOf(body: Answer['body']): RegistrySchema {
    const { schema, schemaType, references } = body;
    if (typeof schema !== 'string') throw this.#unreachable('answered without a schema');
    return {
      type: schemaType === 'PROTOBUF' || schemaType === 'JSON' ? schemaType : 'AVRO',
      text: schema,
      references: Array.isArray(references) ? (references as SchemaReference[]) : [],
    };
  }

  #idOf({ id }: Answer['body']): number {
    if (typeof id === 'number') return id;
    throw this.#unreachable('answered without an id');
  }

  #accepted({ status, body }: Answer, subject = ''): Answer['body'] {
    if (status === 200) return body;
    if (status === 422 || status === 400) {
      const place = subject === '' ? '' : ` for subject ${subject}`;
      throw new MillraceError(
        'SCHEMA_INVALID',
        `the registry ${this.#options.url} refuses the schema${place}: ${clip(reasonOf(body))}; correct the schema`,
      );
    }
    throw this.#unreachable(`answered ${String(status)}: ${clip(reasonOf(body))}`);
  }

  async #request(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer> {
    const patience = wrap(
      retry(
        handleWhen((error) => error instanceof Passing),
        {
          maxAttempts: RETRIES,
          backoff: new ExponentialBackoff({ initialDelay: FIRST_DELAY_MS, maxDelay: DELAY_MAX_MS }),
        },
      ),
      timeout(this.#options.timeoutMs, TimeoutStrategy.Cooperative),
    );
    return patience.execute(({ signal }) => this.#attempt(method, path, body, signal));
  }

  async #attempt(
    method: string,
    path: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { url, auth } = this.#options;
    try {
      const response = await fetch(`${url.replace(/\/+$/, '')}${path}`, {
        method,
        signal,
        headers: {
          accept: `${MEDIA_TYPE}, application/json`,
          ...(body === undefined ? {} : { 'content-type': MEDIA_TYPE }),
          ...(auth === undefined ? {} : { authorization: await authorizationOf(auth) }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const { status } = response;
      const text = await response.text();
      if (status === 401 || status === 403) throw this.#denied(status);
      if (status >= 500 || status === 429) {
        throw this.#unreachable(`answered ${String(status)}: ${clip(reasonOf(parseBody(text)))}`);
      }
      return { status, body: parseBody(text) };
    } catch (error) {
      if (isMillraceError(error)) throw error;
      const { timeoutMs } = this.#options;
      throw this.#unreachable(
        signal.aborted
          ? `gave no answer in ${String(timeoutMs)} ms`
          : `can't be reached (${causeOf(error)})`,
        error,
      );
    }
  }

  #denied(status: number): MillraceError {
    const { url, auth } = this.#options;
    const who = auth === undefined ? 'nobody logged in' : 'the login is not let in';
    return new MillraceError(
      'ACCESS_DENIED',
      `the schema registry ${url} answered ${String(status)}: ${who}; correct registry.auth`,
    );
  }

  #unreachable(what: string, cause?: unknown): MillraceError {
    const code: ErrorCode = 'REGISTRY_UNREACHABLE';
    const message = `the schema registry ${this.#options.url} ${what}; see its URL and its log`;
    return new Passing(code, message, { cause });
  }
}

function requestOf({ type, text, references }: RegistrySchema): object {
  return {
    schema: text,
    // Registries of before other types know no such field.
    ...(type === 'AVRO' ? {} : { schemaType: type }),
    ...(references.length === 0 ? {} : { references }),
  };
}

function parseBody(text: string): Answer['body'] {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null) return body as Answer['body'];
    return { message: text };
  } catch {
    return { message: text };
  }
}

function reasonOf({ message }: Answer['body']): string {
  return typeof message === 'string' ? message : 'no reason given';
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

function clip(text: string): string {
  return text.length <= REASON_LENGTH_MAX ? text : `${text.slice(0, REASON_LENGTH_MAX)}...`;
}
