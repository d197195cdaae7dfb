/**
 * A real S3 server for tests: versitygw, with its objects in a temporary folder, on a port that the
 * system chose, always ended. The test command builds it with Go and keeps it; without one, tests that
 * need it are skipped and say so.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import {
  killService,
  spawnGuarded,
  startService,
  type StartedService,
} from './loopback-service.js';

const VERSION = 'v1.8.0';
const PACKAGE = `github.com/versity/versitygw/cmd/versitygw@${VERSION}`;
const CACHE_FOLDER = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'millrace',
  `versitygw-${VERSION}`,
);
const BINARY = join(CACHE_FOLDER, 'versitygw');
const BUILD_TIMEOUT_SECONDS = 600;

/** Builds it unless it is there; minutes the first time. Two at once do not disturb each other. */
export const INSTALL_VERSITYGW = [
  'sh',
  '-c',
  `test -x "$1" && exit 0
   command -v go > /dev/null || { echo 'there is no go on the PATH'; exit 1; }
   export GOBIN="$1.build-$$"
   timeout ${BUILD_TIMEOUT_SECONDS} go install -trimpath -ldflags='-s -w' ${PACKAGE} &&
     mv "$GOBIN/versitygw" "$1"
   status=$?
   rm -rf "$GOBIN"
   exit $status`,
  'sh',
  BINARY,
] as const;

export type VersitygwAvailability =
  { readonly available: true } | { readonly available: false; readonly reason: string };

/** Whether tests can run an S3 server here. */
export function versitygwAvailability(): VersitygwAvailability {
  if (existsSync(BINARY)) return { available: true };
  return {
    available: false,
    reason: 'there is no versitygw, which npm test builds if there is Go',
  };
}

/** What its only account is called; `startVersitygw` makes it this process's and its children's. */
const ACCESS_KEY = 'millrace-test';
const SECRET_KEY = 'millrace-test-secret-key';
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
    useCredentials();
    const folder = await mkdtemp(join(tmpdir(), 'millrace-s3-'));
    await mkdir(join(folder, 'objects'));
    await mkdir(join(folder, 'metadata'));
    const started = await startService('versitygw', 1, ([port = 0]) =>
      spawnGuarded(BINARY, [
        ...['--access', ACCESS_KEY, '--secret', SECRET_KEY, '--region', REGION],
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

  async stop(): Promise<void> {
    this.client.destroy();
    await killService(this.started.process);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Nothing of the machine's own S3 account must reach a test, nor a test it. */
function useCredentials(): void {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  });
  delete process.env['AWS_SESSION_TOKEN'];
  delete process.env['AWS_PROFILE'];
}
