import { inspect } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { isMillraceError, serializeError, type MillraceError } from '../../core/errors.js';
import { systemClock, systemRandom } from '../../process/system-clock.js';
import type { BlobStore } from '../../storage/blob-store.js';
import { openBlobStore } from '../../storage/open-blob-store.js';
import { S3BlobStore } from '../../storage/s3-blob-store.js';
import { FaultyProxy } from '../services/faulty-proxy.js';
import {
  useS3Credentials,
  VersitygwService,
  versitygwAvailability,
} from '../services/versitygw.js';
import { s3Location } from './s3-fixture.js';

const SECRET = 'a-secret-that-nobody-may-see';

/** One after the other: credentials are read from the environment of the process. */
const withCredentials = async (
  act: () => Promise<unknown>,
  credentials: Readonly<Record<string, string | undefined>>,
): Promise<MillraceError> => {
  const before = process.env;
  process.env = { ...before, ...credentials };
  try {
    await act();
  } catch (error) {
    if (isMillraceError(error)) return error;
    throw error;
  } finally {
    process.env = before;
  }
  throw new Error('nothing was refused');
};

function open(location: string): Promise<BlobStore> {
  return openBlobStore(location, { clock: systemClock, random: systemRandom });
}

function assertSilentAboutSecrets(t: ExecutionContext, error: MillraceError): void {
  for (const shown of [inspect(error), JSON.stringify(serializeError(error))]) {
    t.false(shown.includes(SECRET), shown);
  }
}

const MEANINGS: readonly (readonly [status: number, code: string, words: RegExp])[] = [
  [403, 'AccessDenied', /access denied .*; grant the credentials what docs\/checkpoints-on-s3.md/],
  [403, 'InvalidAccessKeyId', /the access key is not known there .*; check the credentials/],
  [403, 'SignatureDoesNotMatch', /the secret key is wrong .*; check the credentials/],
  [400, 'ExpiredToken', /the session token has expired .*; check the credentials/],
  [404, 'NoSuchBucket', /there is no such bucket .*; create the bucket or correct its name/],
  [301, 'PermanentRedirect', /the bucket is in another region .*region=NAME/],
  [403, 'RequestTimeTooSkewed', /clock is too far from the server's .*; set the clock/],
  [507, 'InsufficientStorage', /no space is left there .*; free some space/],
  [501, 'NotImplemented', /does not know this request .*; use a server with conditional writes/],
];

for (const [status, code, words] of MEANINGS) {
  test.serial(`${code} is told with place, reason and remedy`, async (t) => {
    const proxy = await FaultyProxy.start('http://127.0.0.1:1');
    t.teardown(() => proxy.stop());
    proxy.plan = () => ({ kind: 'refused', status, code });
    const location = s3Location(`s3://the-bucket/team?endpoint=${proxy.endpoint}&region=us-east-1`);
    const opened = S3BlobStore.open.bind(S3BlobStore, location, {
      clock: systemClock,
      random: systemRandom,
    });
    const error = await withCredentials(opened, {
      AWS_ACCESS_KEY_ID: 'somebody',
      AWS_SECRET_ACCESS_KEY: SECRET,
    });
    t.is(error.code, 'STORAGE_UNAVAILABLE');
    t.regex(error.message, words);
    t.true(
      error.message.includes(`s3://the-bucket/team/ at ${proxy.endpoint}: could not be listed`),
    );
    t.true(error.message.includes(code) && error.message.includes(`HTTP ${status}`));
    assertSilentAboutSecrets(t, error);
  });
}

test.serial('an endpoint where nothing listens, or that does not exist, is told', async (t) => {
  useS3Credentials();
  for (const [endpoint, words] of [
    ['http://127.0.0.1:1', /nothing listens there \(ECONNREFUSED\); check the endpoint/],
    ['http://no-such-host.invalid', /its host name .*; check the endpoint/],
  ] as const) {
    const act = (): Promise<BlobStore> =>
      open(`s3://the-bucket?endpoint=${endpoint}&region=us-east-1`);
    t.regex((await withCredentials(act, {})).message, words);
  }
});

test.serial('no region and no credentials are told', async (t) => {
  useS3Credentials();
  const open127 = (query: string) => (): Promise<BlobStore> =>
    open(`s3://the-bucket?endpoint=http://127.0.0.1:1${query}`);
  const none = {
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SECRET_ACCESS_KEY: undefined,
    AWS_REGION: undefined,
    AWS_DEFAULT_REGION: undefined,
  };
  t.regex((await withCredentials(open127(''), none)).message, /no region was found .*region=NAME/);
  t.regex(
    (await withCredentials(open127('&region=us-east-1'), none)).message,
    /no credentials were found .*; check the credentials \(AWS_ACCESS_KEY_ID/,
  );
});

function testOnVersitygw(): void {
  let service: VersitygwService;
  test.before(async () => {
    service = await VersitygwService.start();
  });
  test.after.always(() => service.stop());

  test.serial('a real server: a wrong secret, an unknown key, no such bucket', async (t) => {
    const wrongSecret = await withCredentials(() => open(service.location('x')), {
      AWS_SECRET_ACCESS_KEY: SECRET,
    });
    t.regex(wrongSecret.message, /the secret key is wrong \(SignatureDoesNotMatch, HTTP 403/);
    assertSilentAboutSecrets(t, wrongSecret);
    const unknownKey = await withCredentials(() => open(service.location('x')), {
      AWS_ACCESS_KEY_ID: 'nobody',
      AWS_SECRET_ACCESS_KEY: SECRET,
    });
    t.regex(unknownKey.message, /the access key is not known there/);
    assertSilentAboutSecrets(t, unknownKey);
    const elsewhere = service.location('x').replace(service.bucket, 'no-such-bucket');
    const noBucket = await withCredentials(() => open(elsewhere), {});
    t.regex(noBucket.message, /s3:\/\/no-such-bucket\/x\/ at .*: there is no such bucket/);
  });
}

const availability = versitygwAvailability();
if (availability.available) testOnVersitygw();
else test.skip(`refusals of a real S3: ${availability.reason}`, (t) => t.pass());
