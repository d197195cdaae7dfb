/**
 * A blob on its way up: in one put, or, above the size of a part, in parts of which a few are under
 * way at once. Either way the object appears whole, at the last request. Each request carries the
 * SHA-256 of what it sends, for the server to check and keep. A put is marked, so that one whose answer
 * was lost is recognised when it is refused the second time. Must never leave parts behind that it
 * could still remove, nor take another's object for its own.
 */
import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import { MillraceError } from '../core/errors.js';
import { BlobDigest, type BlobData, type BlobExpectation } from './blob-store.js';
import type { S3Connection } from './s3-connection.js';
import { isS3Error, notOfS3, s3Error } from './s3-error.js';

/** Of a part; S3 asks for 5 MiB at least. */
export const PART_BYTES = 8 * 1024 * 1024;
/** With the one that is held and the one being gathered, a streamed blob takes 6 parts of memory. */
const PARTS_IN_FLIGHT_MAX = 4;
/** S3's own limit; with parts of 8 MiB a blob may have 78 GiB. */
const PARTS_MAX = 10_000;
/** Two writers that meet may both be told to try again. */
const CONFLICT_ATTEMPTS_MAX = 3;

/** Metadata of an object: which put wrote it. */
const MARK = 'millrace-put';

export interface S3UploadOptions {
  readonly ifAbsent: boolean;
  /** That no other put has. */
  readonly mark: string;
}

/** @throws MillraceError STORAGE_CONFLICT, STORAGE_UNAVAILABLE; what `data` throws */
export async function upload(
  connection: S3Connection,
  key: string,
  data: BlobData,
  options: S3UploadOptions,
): Promise<BlobExpectation> {
  const target = new S3UploadTarget(connection, key, options);
  const digest = new BlobDigest();
  let multipart: MultipartUpload | undefined;
  // Sent once it is known whether another follows.
  let held: Uint8Array | undefined;
  try {
    for await (const part of partsOf(data)) {
      digest.update(part);
      if (held !== undefined) {
        multipart ??= await MultipartUpload.begin(target);
        await multipart.add(held);
      }
      held = part;
    }
    const written = digest.finish();
    if (multipart === undefined) await target.put(held ?? new Uint8Array(), written.sha256);
    else {
      await multipart.add(held ?? new Uint8Array());
      await multipart.complete();
    }
    return written;
  } catch (error) {
    await multipart?.abort();
    throw error;
  }
}

/** Cuts what is given into parts of PART_BYTES, the last one shorter; nothing at all for no bytes. */
async function* partsOf(data: BlobData): AsyncGenerator<Uint8Array, void, undefined> {
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  const isWhole = data instanceof Uint8Array;
  for await (const piece of isWhole ? [data] : data) {
    // What comes in pieces is gone with the next one; a blob that is given whole is cut without being copied.
    let rest = isWhole ? piece : piece.slice();
    while (gatheredBytes + rest.length >= PART_BYTES) {
      const end = PART_BYTES - gatheredBytes;
      const last = rest.subarray(0, end);
      yield gathered.length === 0 ? last : Buffer.concat([...gathered, last]);
      rest = rest.subarray(end);
      gathered = [];
      gatheredBytes = 0;
    }
    if (rest.length > 0) gathered.push(rest);
    gatheredBytes += rest.length;
  }
  if (gatheredBytes > 0) yield Buffer.concat(gathered);
}

/** One object to be written, and whether it was we who wrote it. */
class S3UploadTarget {
  readonly object: { readonly Bucket: string; readonly Key: string };
  readonly metadata: Readonly<Record<string, string>>;
  readonly condition: { readonly IfNoneMatch?: string };

  constructor(
    readonly connection: S3Connection,
    readonly key: string,
    readonly options: S3UploadOptions,
  ) {
    this.object = { Bucket: connection.bucket, Key: connection.objectKey(key) };
    this.metadata = { [MARK]: options.mark };
    this.condition = options.ifAbsent ? { IfNoneMatch: '*' } : {};
  }

  async put(bytes: Uint8Array, sha256: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.connection.call(async (client, options) => {
          const command = new PutObjectCommand({
            ...this.object,
            ...this.condition,
            Body: bytes,
            ContentLength: bytes.length,
            ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64'),
            Metadata: this.metadata,
          });
          const { ETag } = await client.send(command, options);
          if (ETag === undefined) throw notOfS3();
        });
        return;
      } catch (error) {
        if (isS3Error(error, 'ConditionalRequestConflict') && attempt < CONFLICT_ATTEMPTS_MAX) {
          continue;
        }
        if (await this.isWritten(error)) return;
        throw this.failed(error);
      }
    }
  }

  /**
   * After a refusal of the last request: whether it had been carried out before, its answer lost, and
   * was then refused for what it had done itself.
   */
  async isWritten(refusal: unknown): Promise<boolean> {
    if (!isS3Error(refusal, 'PreconditionFailed', 'NoSuchUpload')) return false;
    try {
      const command = new HeadObjectCommand(this.object);
      const { Metadata } = await this.connection.call((client, options) =>
        client.send(command, options),
      );
      return Metadata?.[MARK] === this.options.mark;
    } catch (error) {
      if (isS3Error(error, 'NotFound', 'NoSuchKey')) return false;
      throw this.failed(error);
    }
  }

  failed(error: unknown): MillraceError {
    const { connection, key } = this;
    if (!isS3Error(error, 'PreconditionFailed')) {
      return connection.describe(error, key, 'be written');
    }
    return new MillraceError(
      'STORAGE_CONFLICT',
      `${connection.placeOf(key)} exists already; delete it first, or use another key`,
    );
  }
}

class MultipartUpload {
  readonly #target: S3UploadTarget;
  readonly #uploadId: string;
  readonly #completed: CompletedPart[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #failure: MillraceError | undefined;

  private constructor(target: S3UploadTarget, uploadId: string) {
    this.#target = target;
    this.#uploadId = uploadId;
  }

  static async begin(target: S3UploadTarget): Promise<MultipartUpload> {
    const { connection, key, object, metadata } = target;
    const { UploadId } = await connection.run('be written', key, (client, options) => {
      const command = new CreateMultipartUploadCommand({
        ...object,
        Metadata: metadata,
        ChecksumAlgorithm: 'SHA256',
      });
      return client.send(command, options);
    });
    if (UploadId === undefined) throw target.failed(notOfS3());
    return new MultipartUpload(target, UploadId);
  }

  /** Returns once fewer than PARTS_IN_FLIGHT_MAX parts are under way. */
  async add(bytes: Uint8Array): Promise<void> {
    const number = this.#completed.length + 1;
    if (number > PARTS_MAX) {
      throw this.#target.failed(s3Error('TooManyParts', `more than ${PARTS_MAX} parts`));
    }
    const checksum = createHash('sha256').update(bytes).digest('base64');
    const part: CompletedPart = { PartNumber: number, ChecksumSHA256: checksum };
    this.#completed.push(part);
    const sent = this.#send(part, bytes)
      .catch((error: unknown) => {
        this.#failure ??= this.#target.failed(error);
      })
      .finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
    while (this.#inFlight.size >= PARTS_IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async complete(): Promise<void> {
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure;
    const { connection, object, condition } = this.#target;
    try {
      await connection.call(async (client, options) => {
        const command = new CompleteMultipartUploadCommand({
          ...object,
          ...condition,
          UploadId: this.#uploadId,
          MultipartUpload: { Parts: this.#completed },
        });
        const { ETag } = await client.send(command, options);
        if (ETag === undefined) throw notOfS3();
      });
    } catch (error) {
      if (!(await this.#target.isWritten(error))) throw this.#target.failed(error);
    }
  }

  /** What can't be removed now is left for `removeUnfinished`; the reason to abort tells more. */
  async abort(): Promise<void> {
    // A part that arrives after the abort would stay.
    await Promise.all(this.#inFlight);
    const { connection, object } = this.#target;
    const command = new AbortMultipartUploadCommand({ ...object, UploadId: this.#uploadId });
    await connection
      .call((client, options) => client.send(command, options))
      .catch(() => undefined);
  }

  async #send(part: CompletedPart, bytes: Uint8Array): Promise<void> {
    const { connection, object } = this.#target;
    const { ETag } = await connection.call((client, options) => {
      const command = new UploadPartCommand({
        ...object,
        UploadId: this.#uploadId,
        PartNumber: part.PartNumber,
        Body: bytes,
        ContentLength: bytes.length,
        ChecksumSHA256: part.ChecksumSHA256,
      });
      return client.send(command, options);
    });
    if (ETag === undefined) throw notOfS3();
    part.ETag = ETag;
  }
}
