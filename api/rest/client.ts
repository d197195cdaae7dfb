/**
 * The typed client of the REST API, on fetch: one method per route of the contract. Every call has a
 * deadline; a cluster that doesn't answer is CLUSTER_UNREACHABLE, and an error that the coordinator
 * reports is thrown as the MillraceError it was.
 */
import type { Static } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { deserializeError, ERROR_CODES, MillraceError, type ErrorCode } from '../../core/errors.js';
import type { DisposedSavepoint, JobCheckpoints, SavepointStatus } from './checkpoint-dto.js';
import {
  ErrorBody,
  type ClusterOverview,
  type SavepointList,
  type UploadedBundle,
  type WorkerList,
} from './cluster-dto.js';
import { BUNDLE_CONTENT_TYPE, ROUTES, type Route, type RouteName } from './contract.js';
import type {
  JobAccepted,
  JobDetails,
  JobList,
  SubmitJobRequest,
  SubmittedJob,
} from './job-dto.js';

const TIMEOUT_MS = 10_000;
/** An upload may carry the largest bundle over a slow line, and the coordinator checks all of it. */
const UPLOAD_TIMEOUT_MS = 120_000;

export interface RestClientOptions {
  /** `HOST:PORT` or `http://HOST:PORT`. */
  readonly address: string;
  /** For every call but an upload; default 10,000. */
  readonly timeoutMs?: number;
  readonly uploadTimeoutMs?: number;
}

interface CallOptions {
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | object;
}

export class RestClient {
  readonly address: string;
  readonly #timeoutMs: number;
  readonly #uploadTimeoutMs: number;

  /** @throws MillraceError USAGE when the address is none */
  constructor(options: RestClientOptions) {
    this.address = baseOf(options.address);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#uploadTimeoutMs = options.uploadTimeoutMs ?? UPLOAD_TIMEOUT_MS;
  }

  cluster(): Promise<ClusterOverview> {
    return this.#call('cluster');
  }

  workers(): Promise<WorkerList> {
    return this.#call('workers');
  }

  savepoints(): Promise<SavepointList> {
    return this.#call('savepoints');
  }

  /** Deletes a savepoint; refused while a job needs or owns it. */
  disposeSavepoint(savepointId: string): Promise<DisposedSavepoint> {
    return this.#call('disposeSavepoint', { params: { savepointId } });
  }

  /** Uploading the same bytes again is no error and gives the same id. */
  uploadBundle(archive: Uint8Array): Promise<UploadedBundle> {
    return this.#call('uploadBundle', { body: archive });
  }

  submitJob(request: SubmitJobRequest): Promise<SubmittedJob> {
    return this.#call('submitJob', { body: request });
  }

  jobs(): Promise<JobList> {
    return this.#call('jobs');
  }

  /** @param id a job's id or unique name */
  job(id: string): Promise<JobDetails> {
    return this.#call('job', { params: { id } });
  }

  checkpoints(id: string): Promise<JobCheckpoints> {
    return this.#call('checkpoints', { params: { id } });
  }

  /** Asks for a savepoint; `savepoint` tells when it is done. */
  triggerSavepoint(id: string): Promise<SavepointStatus> {
    return this.#call('triggerSavepoint', { params: { id } });
  }

  savepoint(id: string, savepointId: string): Promise<SavepointStatus> {
    return this.#call('savepoint', { params: { id, savepointId } });
  }

  stopWithSavepoint(id: string): Promise<SavepointStatus> {
    return this.#call('stopJob', { params: { id }, body: { savepoint: true } });
  }

  /** Asks for another parallelism; `job` tells when the job runs at it. */
  rescaleJob(id: string, parallelism: number): Promise<JobAccepted> {
    return this.#call('rescaleJob', { params: { id }, body: { parallelism } });
  }

  cancelJob(id: string): Promise<JobAccepted> {
    return this.#call('cancelJob', { params: { id } });
  }

  async #call<N extends RouteName>(
    name: N,
    options: CallOptions = {},
  ): Promise<Static<(typeof ROUTES)[N]['response']>> {
    const route: Route = ROUTES[name];
    const timeoutMs = route.body === 'bytes' ? this.#uploadTimeoutMs : this.#timeoutMs;
    const url = `${this.address}${pathOf(route, options.params ?? {})}`;
    let status: number;
    let text: string;
    try {
      const response = await fetch(url, {
        method: route.method,
        ...requestBodyOf(options.body),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      ({ status } = response);
      text = await response.text();
    } catch (error) {
      throw this.#unreachable(error, timeoutMs);
    }
    const answer = parse(text);
    if (status !== route.status) throw this.#errorOf(status, answer);
    if (!Value.Check(route.response, answer)) {
      throw this.#foreign(`${route.method} ${route.path} gave an answer of another form`);
    }
    return answer as Static<(typeof ROUTES)[N]['response']>;
  }

  #errorOf(status: number, answer: unknown): MillraceError {
    if (!Value.Check(ErrorBody, answer)) return this.#foreign(`it answered with status ${status}`);
    const { code, message } = answer.error;
    return deserializeError({ code: knownCode(code), message });
  }

  #foreign(what: string): MillraceError {
    return new MillraceError(
      'VERSION_MISMATCH',
      `what listens at ${this.address} doesn't speak this version's API: ${what}; ` +
        'check the address, or use the millrace command of the version that the cluster runs',
    );
  }

  #unreachable(error: unknown, timeoutMs: number): MillraceError {
    const timedOut = error instanceof Error && error.name === 'TimeoutError';
    const reason = timedOut ? `no answer within ${timeoutMs} ms` : reasonOf(error);
    return new MillraceError(
      'CLUSTER_UNREACHABLE',
      `no cluster can be reached at ${this.address} (${reason}); ` +
        "start one with 'millrace cluster', or give another address",
      { cause: error },
    );
  }
}

function baseOf(address: string): string {
  const text = /^https?:\/\//.test(address) ? address : `http://${address}`;
  if (!URL.canParse(text)) {
    throw new MillraceError('USAGE', `"${address}" is no address of a cluster; give HOST:PORT`);
  }
  return new URL(text).origin;
}

function pathOf(route: Route, params: Readonly<Record<string, string>>): string {
  return route.path.replace(/:([A-Za-z]+)/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? ''),
  );
}

function requestBodyOf(body: Uint8Array | object | undefined): RequestInit {
  if (body === undefined) return {};
  if (body instanceof Uint8Array) {
    return { body: new Uint8Array(body), headers: { 'content-type': BUNDLE_CONTENT_TYPE } };
  }
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function knownCode(code: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'INTERNAL';
}

/** The system's own code (ECONNREFUSED, ENOTFOUND) says more than fetch's "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause: unknown = error.cause;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return error.message;
}
