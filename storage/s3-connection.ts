/**
 * The way to one bucket: a deadline on every call, retries with a limit (the SDK's own: throttling,
 * 5xx, timeouts, cut connections), errors that name bucket, key and endpoint. Stands under
 * `S3BlobStore`. Credentials come from the SDK's default chain, which reads the process's environment
 * and files itself; they must never pass through here.
 */
import { S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../core/clock.js';
import type { MillraceError } from '../core/errors.js';
import type { S3Location } from './blob-location.js';
import { describeS3Error, s3Error } from './s3-error.js';

export interface S3Timeouts {
  readonly connectMs: number;
  /** Of one attempt, until its answer begins; a part of 8 MiB must go up in it. */
  readonly attemptMs: number;
  /** Silence on the connection, also within an answer's body. */
  readonly silenceMs: number;
  /** Of a call with all its attempts. */
  readonly callMs: number;
  /** Of the first call: whoever starts a process doesn't wait long for its word. */
  readonly openMs: number;
}

export const S3_TIMEOUTS: S3Timeouts = {
  connectMs: 5_000,
  attemptMs: 60_000,
  silenceMs: 30_000,
  callMs: 180_000,
  openMs: 20_000,
};
/** With the SDK's pauses between them: about a second in all, eight when the server throttles. */
const ATTEMPTS_MAX = 5;

export interface S3ConnectionOptions {
  readonly location: S3Location;
  readonly clock: Clock;
  readonly timeouts?: S3Timeouts;
}

export class S3Connection {
  readonly bucket: string;
  readonly clock: Clock;
  readonly timeouts: S3Timeouts;
  readonly #client: S3Client;
  readonly #location: S3Location;

  constructor({ location, clock, timeouts = S3_TIMEOUTS }: S3ConnectionOptions) {
    this.bucket = location.bucket;
    this.clock = clock;
    this.timeouts = timeouts;
    this.#location = location;
    const { endpoint, region } = location;
    this.#client = new S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      forcePathStyle: location.pathStyle,
      maxAttempts: ATTEMPTS_MAX,
      // It would open a connection for every part, and wait on servers that don't answer it.
      expectContinueHeader: false,
      // Lengths and SHA-256 are this room's own to check, and not only where the server kept a checksum.
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: timeouts.connectMs,
        requestTimeout: timeouts.attemptMs,
        throwOnRequestTimeout: true,
        socketTimeout: timeouts.silenceMs,
      },
    });
    this.#client.middlewareStack.add(
      (next) => (args) => {
        signByChecksum(args.request);
        return next(args);
      },
      { step: 'build', name: 'signByChecksum' },
    );
  }

  /** The object's key in the bucket. */
  objectKey(key: string): string {
    return this.#location.prefix + key;
  }

  /** The blob's key of an object that a list named. */
  blobKey(objectKey: string): string {
    return objectKey.slice(this.#location.prefix.length);
  }

  /** Where a blob is, as a user can find it. */
  placeOf(key: string): string {
    return `s3://${this.bucket}/${this.objectKey(key)}`;
  }

  /** What failed, in words; `what` is the call in words, such as `be read`. */
  describe(error: unknown, key: string, what: string): MillraceError {
    const { endpoint = 'the endpoint of AWS' } = this.#location;
    return describeS3Error(error, `${this.placeOf(key)} at ${endpoint}`, what);
  }

  /**
   * One call with its retries. What the server refused is thrown as the SDK's error, for who knows
   * what it means; `describe` has the words for it.
   */
  async call<T>(
    request: (client: S3Client, options: { abortSignal: AbortSignal }) => Promise<T>,
    timeoutMs = this.timeouts.callMs,
  ): Promise<T> {
    const deadline = new AbortController();
    let cancel = (): void => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.clock.setTimer(timeoutMs, () => {
        // The SDK looks at the signal only between its steps.
        reject(s3Error('TimeoutError', `no answer within ${timeoutMs} ms`));
        deadline.abort();
      });
    });
    try {
      return await Promise.race([request(this.#client, { abortSignal: deadline.signal }), late]);
    } finally {
      cancel();
    }
  }

  /** `call`, with its failure in words. */
  async run<T>(
    what: string,
    key: string,
    request: (client: S3Client, options: { abortSignal: AbortSignal }) => Promise<T>,
    timeoutMs = this.timeouts.callMs,
  ): Promise<T> {
    try {
      return await this.call(request, timeoutMs);
    } catch (error) {
      throw this.describe(error, key, what);
    }
  }
}

/** The signer hashes each body; where its SHA-256 is sent along anyway, once is enough. */
function signByChecksum(request: unknown): void {
  const { headers } = request as { readonly headers: Record<string, string> };
  const checksum = headers['x-amz-checksum-sha256'];
  if (checksum === undefined) return;
  headers['x-amz-content-sha256'] = Buffer.from(checksum, 'base64').toString('hex');
}
