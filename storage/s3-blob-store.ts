/**
 * BlobStore on any server with an S3 API: a blob is an object whose key is the store's prefix and the
 * blob's key. What the server promises is checked: lengths and SHA-256 of everything that comes back,
 * and who wrote an object after a put whose answer was lost. Loaded only when a location names S3.
 */
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type ListMultipartUploadsCommandInput,
  type ListMultipartUploadsCommandOutput,
  type ListObjectsV2CommandOutput,
  type MultipartUpload,
} from '@aws-sdk/client-s3';
import type { Random } from '../core/clock.js';
import { isMillraceError, type MillraceError } from '../core/errors.js';
import {
  BlobDigest,
  checkBlob,
  checkBlobKey,
  type BlobData,
  isBlobKey,
  type BlobExpectation,
  type BlobHandle,
  type BlobListing,
  type BlobPutOptions,
  type BlobStore,
} from './blob-store.js';
import type { S3Location } from './blob-location.js';
import { S3_TIMEOUTS, S3Connection, type S3ConnectionOptions } from './s3-connection.js';
import { download, unreadable } from './s3-download.js';
import { isS3Error, notOfS3, s3Error } from './s3-error.js';
import { upload } from './s3-upload.js';

/** S3's own limit of keys in one delete. */
const DELETE_KEYS_MAX = 1_000;
/** That of a whole object; one of parts has a hyphen and their number behind it. */
const SHA256_BASE64_LENGTH = 44;

export interface S3BlobStoreOptions extends Omit<S3ConnectionOptions, 'location'> {
  readonly random: Pick<Random, 'id'>;
}

export class S3BlobStore implements BlobStore {
  readonly #connection: S3Connection;
  readonly #random: Pick<Random, 'id'>;

  private constructor(location: S3Location, { random, ...options }: S3BlobStoreOptions) {
    this.#connection = new S3Connection({ location, ...options });
    this.#random = random;
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE if the bucket can't be listed with the credentials there are */
  static async open(location: S3Location, options: S3BlobStoreOptions): Promise<S3BlobStore> {
    const store = new S3BlobStore(location, options);
    await store.#listPage('', undefined, options.timeouts?.openMs ?? S3_TIMEOUTS.openMs);
    return store;
  }

  async put(
    key: string,
    data: BlobData,
    { ifAbsent = false }: BlobPutOptions = {},
  ): Promise<BlobHandle> {
    checkBlobKey(key);
    const mark = this.#random.id();
    return { key, ...(await upload(this.#connection, key, data, { ifAbsent, mark })) };
  }

  async get(key: string, expected?: BlobExpectation): Promise<Uint8Array> {
    try {
      return await this.#collect(key, expected);
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'STORAGE_CORRUPT') throw error;
      // What was spoiled on its way only is whole the second time.
      return this.#collect(key, expected);
    }
  }

  /**
   * The blob in pieces as they arrive. A difference from `expected` is thrown after the last piece: only
   * who has read to the end may believe what was read.
   * @throws as `get`
   */
  async *read(
    key: string,
    expected?: BlobExpectation,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    checkBlobKey(key);
    const known = expected ?? (await this.#recorded(key));
    const digest = new BlobDigest();
    for await (const piece of download(this.#connection, key)) {
      digest.update(piece);
      yield piece;
    }
    if (known !== undefined) checkBlob(this.#connection.placeOf(key), digest.finish(), known);
  }

  async *list(prefix: string): AsyncGenerator<BlobListing, void, undefined> {
    let token: string | undefined;
    do {
      const page = await this.#listPage(prefix, token);
      for (const { Key = '', Size = 0 } of page.Contents ?? []) {
        const key = this.#connection.blobKey(Key);
        // Others may keep things here, too: consoles make objects that stand for folders.
        if (isBlobKey(key)) yield { key, lengthBytes: Size };
      }
      const next = page.NextContinuationToken;
      // Else a server that always answers the same would be asked for ever.
      if (next !== undefined && next === token) throw this.#endless(prefix);
      token = next;
    } while (token !== undefined);
  }

  async delete(key: string): Promise<void> {
    checkBlobKey(key);
    await this.#connection.run('be deleted', key, (client, options) => {
      const Key = this.#connection.objectKey(key);
      return client.send(
        new DeleteObjectCommand({ Bucket: this.#connection.bucket, Key }),
        options,
      );
    });
  }

  async deleteAll(keys: Iterable<string> | AsyncIterable<string>): Promise<void> {
    let batch: string[] = [];
    for await (const key of keys) {
      checkBlobKey(key);
      batch.push(key);
      if (batch.length < DELETE_KEYS_MAX) continue;
      await this.#deleteBatch(batch);
      batch = [];
    }
    if (batch.length > 0) await this.#deleteBatch(batch);
  }

  async removeUnfinished(prefix: string, begunBeforeMs = Infinity): Promise<void> {
    let marker: Pick<ListMultipartUploadsCommandInput, 'KeyMarker' | 'UploadIdMarker'> = {};
    for (;;) {
      const page = await this.#listUploads(prefix, marker);
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        const begunAtMs = Initiated?.getTime() ?? 0;
        if (begunAtMs < begunBeforeMs) await this.#abort({ Key, UploadId });
      }
      if (page.IsTruncated !== true) return;
      const { KeyMarker, UploadIdMarker } = marker;
      if (page.NextKeyMarker === KeyMarker && page.NextUploadIdMarker === UploadIdMarker) {
        throw this.#endless(prefix);
      }
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  }

  async #collect(key: string, expected: BlobExpectation | undefined): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.read(key, expected)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** What the server keeps of a blob's SHA-256; nothing for one that went up in parts. */
  async #recorded(key: string): Promise<BlobExpectation | undefined> {
    const Key = this.#connection.objectKey(key);
    try {
      const { ChecksumSHA256, ContentLength } = await this.#connection.call((client, options) => {
        const object = { Bucket: this.#connection.bucket, Key };
        return client.send(new HeadObjectCommand({ ...object, ChecksumMode: 'ENABLED' }), options);
      });
      if (ChecksumSHA256?.length !== SHA256_BASE64_LENGTH) return undefined;
      const sha256 = Buffer.from(ChecksumSHA256, 'base64').toString('hex');
      return ContentLength === undefined ? undefined : { lengthBytes: ContentLength, sha256 };
    } catch (error) {
      throw unreadable(this.#connection, key, error);
    }
  }

  #listPage(
    prefix: string,
    token: string | undefined,
    timeoutMs?: number,
  ): Promise<ListObjectsV2CommandOutput> {
    return this.#connection.run(
      'be listed',
      prefix,
      async (client, options) => {
        const Bucket = this.#connection.bucket;
        const command = new ListObjectsV2Command({
          Bucket,
          Prefix: this.#connection.objectKey(prefix),
          ContinuationToken: token,
        });
        const page = await client.send(command, options);
        if (page.Name !== Bucket) throw notOfS3();
        return page;
      },
      timeoutMs,
    );
  }

  #listUploads(
    prefix: string,
    marker: Pick<ListMultipartUploadsCommandInput, 'KeyMarker' | 'UploadIdMarker'>,
  ): Promise<ListMultipartUploadsCommandOutput> {
    return this.#connection.run('be searched for uploads', prefix, async (client, options) => {
      const Bucket = this.#connection.bucket;
      const Prefix = this.#connection.objectKey(prefix);
      const command = new ListMultipartUploadsCommand({ Bucket, Prefix, ...marker });
      const page = await client.send(command, options);
      if (page.Bucket !== Bucket) throw notOfS3();
      return page;
    });
  }

  #endless(prefix: string): MillraceError {
    const error = new Error('the server repeats a page of a list');
    return this.#connection.describe(error, prefix, 'be listed');
  }

  async #abort(upload: Pick<MultipartUpload, 'Key' | 'UploadId'>): Promise<void> {
    const { Key, UploadId } = upload;
    try {
      await this.#connection.call((client, options) => {
        const Bucket = this.#connection.bucket;
        return client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), options);
      });
    } catch (error) {
      // Completed or aborted in the meantime.
      if (isS3Error(error, 'NoSuchUpload', 'NoSuchKey')) return;
      const key = this.#connection.blobKey(Key ?? '');
      throw this.#connection.describe(error, key, 'be rid of an unfinished upload');
    }
  }

  async #deleteBatch(keys: readonly string[]): Promise<void> {
    const [first = ''] = keys;
    const { Errors = [] } = await this.#connection.run('be deleted', first, (client, options) => {
      const Objects = keys.map((key) => ({ Key: this.#connection.objectKey(key) }));
      const Bucket = this.#connection.bucket;
      const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } });
      return client.send(command, options);
    });
    const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey');
    if (failed === undefined) return;
    const error = s3Error(failed.Code ?? 'Error', failed.Message ?? 'no reason given');
    const key = this.#connection.blobKey(failed.Key ?? first);
    throw this.#connection.describe(error, key, `be deleted (${Errors.length} of ${keys.length})`);
  }
}
