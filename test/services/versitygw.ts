/**
 * A real S3 server for tests: versitygw, with its objects in a temporary folder, on a port that the
 * system chose, always ended. The test command builds it with Go and keeps it; without one, tests that
 * need it are skipped and say so.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { VERSITYGW } from './install-versitygw.js';
import {
  killService,
  spawnGuarded,
  startService,
  type StartedService,
} from './loopback-service.js';

export type VersitygwAvailability =
  { readonly available: true } | { readonly available: false; readonly reason: string };

/** Whether tests can run an S3 server here. */
export function versitygwAvailability(): VersitygwAvailability {
  if (existsSync(VERSITYGW)) return { available: true };
  return {
    available: false,
    reason: 'there is no versitygw, which npm test builds if there is Go',
  };
}

/** What its only account is called; `useS3Credentials` makes it this process's and its children's. */
const ACCESS_KEY = 'millrace-test';
export const S3_SECRET_KEY = 'millrace-test-secret-key';
const REGION = 'us-east-1';

/** A running server with one empty bucket. */
export class VersitygwService {
  private constructor(
    /** `http://HOST:PORT` */
    readonly endpoint: string,
    readonly bucket: string,
    /** For what the store under test has no call for. */
    readonly client: S3Client,
    private readonly started: StartedService,
    private readonly folder: string,
  ) {}

  static async start(): Promise<VersitygwService> {
    const found = versitygwAvailability();
    if (!found.available) throw new Error(found.reason);
    useS3Credentials();
    const folder = await mkdtemp(join(tmpdir(), 'millrace-s3-'));
    await mkdir(join(folder, 'objects'));
    await mkdir(join(folder, 'metadata'));
    const started = await startService('versitygw', 1, ([port = 0]) =>
      spawnGuarded(VERSITYGW, [
        ...['--access', ACCESS_KEY, '--secret', S3_SECRET_KEY, '--region', REGION],
        ...['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive'],
        ...['posix', '--sidecar', join(folder, 'metadata'), join(folder, 'objects')],
      ]),
    );
    const endpoint = `http://127.0.0.1:${started.ports[0]}`;
    const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true });
    const bucket = 'checkpoints';
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    return new VersitygwService(endpoint, bucket, client, started, folder);
  }

  /** As users write it. */
  location(prefix: string, endpoint = this.endpoint): string {
    const parameters = new URLSearchParams({ endpoint, region: REGION });
    return `s3://${this.bucket}/${prefix}?${parameters.toString()}`;
  }

  /** Makes objects with nothing in them by the server's disk: many, in no time. */
  async plant(objectKeys: readonly string[]): Promise<void> {
    for (const key of objectKeys) {
      const path = join(this.folder, 'objects', this.bucket, key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, '');
    }
  }

  async stop(): Promise<void> {
    this.client.destroy();
    await killService(this.started.process);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Nothing of the machine's own S3 account must reach a test, nor a test it. */
export function useS3Credentials(): void {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: S3_SECRET_KEY,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  });
  delete process.env['AWS_SESSION_TOKEN'];
  delete process.env['AWS_PROFILE'];
}
