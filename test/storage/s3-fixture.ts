/** Stores on a test's S3 server, each with a prefix of its own, and a look past them at the server. */
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { systemClock, systemRandom } from '../../process/system-clock.js';
import { parseBlobLocation, type S3Location } from '../../storage/blob-location.js';
import type { BlobStore } from '../../storage/blob-store.js';
import { S3BlobStore } from '../../storage/s3-blob-store.js';
import { S3_TIMEOUTS, type S3Timeouts } from '../../storage/s3-connection.js';
import type { VersitygwService } from '../services/versitygw.js';

export function s3Location(text: string): S3Location {
  const location = parseBlobLocation(text);
  if (location.type !== 's3') throw new Error(`${text} is not on S3`);
  return location;
}

let stores = 0;

export class S3Fixture {
  readonly prefix: string;

  private constructor(
    readonly service: VersitygwService,
    readonly store: S3BlobStore,
    prefix: string,
  ) {
    this.prefix = prefix;
  }

  /** @param endpoint of a proxy before the service, if any */
  static async open(
    service: VersitygwService,
    { endpoint, timeouts = S3_TIMEOUTS }: { endpoint?: string; timeouts?: S3Timeouts } = {},
  ): Promise<S3Fixture> {
    stores += 1;
    const prefix = `store-${stores}`;
    const store = await S3BlobStore.open(s3Location(service.location(prefix, endpoint)), {
      clock: systemClock,
      random: systemRandom,
      timeouts,
    });
    return new S3Fixture(service, store, prefix);
  }

  /** Keys, with the store's prefix, for which parts lie at the server without an end. */
  async unfinishedUploads(): Promise<readonly string[]> {
    const { client, bucket } = this.service;
    const command = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: `${this.prefix}/` });
    const { Uploads = [] } = await client.send(command);
    return Uploads.map(({ Key = '' }) => Key);
  }

  /** What a writer leaves that dies in the middle of a put. */
  async beginUpload(key: string): Promise<void> {
    const { client, bucket } = this.service;
    const object = { Bucket: bucket, Key: `${this.prefix}/${key}` };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
    await client.send(
      new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: Buffer.alloc(100) }),
    );
  }
}

export async function keysOf(store: BlobStore, prefix = ''): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}
