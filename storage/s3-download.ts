/**
 * A blob on its way down, in pieces as they arrive. A body that is cut or falls silent is taken up
 * where it stopped, of the same version of the object. Must never end early without an error, wait
 * without an end, or join pieces of two versions.
 */
import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { MillraceError } from '../core/errors.js';
import type { S3Connection } from './s3-connection.js';
import { isS3Error, notOfS3, s3Error } from './s3-error.js';

/** In how many answers a blob may come; each but the last one broke off. */
const ANSWERS_MAX = 20;
/** A server that is slower than this over a whole blob gives no answer. */
const BYTES_PER_MS_MIN = 64;

/** What an answer must go on with. */
interface Version {
  readonly etag: string;
  readonly lengthBytes: number;
}

/** @throws MillraceError BLOB_NOT_FOUND, STORAGE_CORRUPT, STORAGE_UNAVAILABLE */
export async function* download(
  connection: S3Connection,
  key: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { clock, timeouts } = connection;
  const first = await begin(connection, key);
  const { version } = first;
  let { body } = first;
  let received = 0;
  let patienceMs = timeouts.callMs + version.lengthBytes / BYTES_PER_MS_MIN;
  for (let answers = 1; ; answers += 1) {
    let failure: unknown = new Error('the answer ended early');
    try {
      const pieces: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
      for (;;) {
        const askedAtMs = clock.monotonic();
        const cancel = clock.setTimer(patienceMs, () => body.destroy(tooSlow()));
        const next = await pieces.next().finally(cancel);
        patienceMs -= clock.monotonic() - askedAtMs;
        if (next.done === true) break;
        received += next.value.length;
        yield next.value;
      }
    } catch (error) {
      failure = error;
    } finally {
      body.destroy();
    }
    if (received === version.lengthBytes) return;
    if (answers === ANSWERS_MAX || patienceMs <= 0) {
      throw connection.describe(failure, key, 'be read');
    }
    body = await resume(connection, key, version, received);
  }
}

async function begin(
  connection: S3Connection,
  key: string,
): Promise<{ readonly version: Version; readonly body: Readable }> {
  try {
    const { Body, ContentLength, ETag } = await connection.call((client, options) => {
      const command = new GetObjectCommand(objectOf(connection, key));
      return client.send(command, options);
    });
    if (!(Body instanceof Readable) || ContentLength === undefined || ETag === undefined) {
      throw notOfS3();
    }
    return { version: { etag: ETag, lengthBytes: ContentLength }, body: Body };
  } catch (error) {
    throw unreadable(connection, key, error);
  }
}

async function resume(
  connection: S3Connection,
  key: string,
  version: Version,
  received: number,
): Promise<Readable> {
  try {
    const { Body, ContentRange } = await connection.call((client, options) => {
      const command = new GetObjectCommand({
        ...objectOf(connection, key),
        Range: `bytes=${received}-`,
        IfMatch: version.etag,
      });
      return client.send(command, options);
    });
    const range = `bytes ${received}-${version.lengthBytes - 1}/${version.lengthBytes}`;
    if (Body instanceof Readable && ContentRange === range) return Body;
    throw new Error(`the answer has ${ContentRange ?? 'no range'}, not ${range}`);
  } catch (error) {
    if (!isS3Error(error, 'PreconditionFailed')) throw unreadable(connection, key, error);
    throw new MillraceError(
      'STORAGE_CORRUPT',
      `${connection.placeOf(key)} was replaced while it was read; give each cluster a bucket or a prefix of its own`,
    );
  }
}

/** Why an object can't be read; one that isn't there is told from a store that isn't. */
export function unreadable(connection: S3Connection, key: string, error: unknown): MillraceError {
  if (!isS3Error(error, 'NoSuchKey', 'NotFound')) return connection.describe(error, key, 'be read');
  return new MillraceError(
    'BLOB_NOT_FOUND',
    `${connection.placeOf(key)} does not exist; check the checkpoint storage, or use an older checkpoint`,
  );
}

function objectOf(connection: S3Connection, key: string): { Bucket: string; Key: string } {
  return { Bucket: connection.bucket, Key: connection.objectKey(key) };
}

function tooSlow(): Error {
  return s3Error('TimeoutError', `slower than ${BYTES_PER_MS_MIN} KB/s`);
}
