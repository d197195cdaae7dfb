import { resolve } from 'node:path';
import test from 'ava';
import { formatBlobLocation, parseBlobLocation } from '../../storage/blob-location.js';

test('a folder is a folder, with its absolute path', (t) => {
  for (const text of ['state', './state', 'file:state']) {
    const location = parseBlobLocation(text);
    t.deepEqual(location, { type: 'file', folder: resolve('state') });
    t.is(formatBlobLocation(location), `file:${resolve('state')}`);
  }
  t.deepEqual(parseBlobLocation('file:///var/lib'), { type: 'file', folder: '/var/lib' });
});

test('an S3 location has bucket, prefix and how to get there', (t) => {
  t.deepEqual(parseBlobLocation('s3://checkpoints'), {
    type: 's3',
    bucket: 'checkpoints',
    prefix: '',
    pathStyle: false,
  });
  t.deepEqual(parseBlobLocation('s3://checkpoints//team/one/?region=eu-west-1'), {
    type: 's3',
    bucket: 'checkpoints',
    prefix: 'team/one/',
    region: 'eu-west-1',
    pathStyle: false,
  });
  t.deepEqual(
    parseBlobLocation('s3://checkpoints/a?endpoint=http://127.0.0.1:9000/&region=us-east-1'),
    {
      type: 's3',
      bucket: 'checkpoints',
      prefix: 'a/',
      endpoint: 'http://127.0.0.1:9000',
      region: 'us-east-1',
      pathStyle: true,
    },
  );
});

test('what is written is read again as the same', (t) => {
  for (const text of [
    's3://checkpoints',
    's3://checkpoints/a/b?region=eu-west-1&pathStyle=true',
    's3://checkpoints/a?endpoint=https://s3.example.com:8443/base&pathStyle=false',
    'file:/var/lib/millrace',
  ]) {
    const location = parseBlobLocation(text);
    t.deepEqual(parseBlobLocation(formatBlobLocation(location)), location);
  }
});

const REFUSED: readonly (readonly [text: string, reason: RegExp])[] = [
  ['', /the folder is missing/],
  ['file:', /the folder is missing/],
  ['gs://bucket', /the scheme gs: is not known/],
  ['s3:bucket', /"" is no name of a bucket/],
  ['s3://', /"" is no name of a bucket/],
  ['s3://Bucket_', /"Bucket_" is no name of a bucket/],
  ['s3://bucket/a b', /the prefix holds other than/],
  ['s3://bucket/../other', /the prefix holds other than/],
  [`s3://bucket/${'a/'.repeat(200)}`, /the prefix is longer than 256 bytes/],
  ['s3://bucket?endpiont=http://x', /a parameter is none of endpoint, region, pathStyle/],
  ['s3://bucket?region=a&region=b', /the parameter region stands there twice/],
  ['s3://bucket?region=EU West', /the region holds other than/],
  ['s3://bucket?endpoint=localhost:9000', /the endpoint is no http:\/\/ or https:\/\/ address/],
  ['s3://bucket?endpoint=http://x/?y=z', /the endpoint has a query/],
  ['s3://bucket?pathStyle=yes', /pathStyle is neither true nor false/],
];

for (const [text, reason] of REFUSED) {
  test(`refused: ${text}`, (t) => {
    const error = t.throws(() => parseBlobLocation(text), { code: 'USAGE' });
    t.regex(error.message, reason);
    t.regex(error.message, /; give a folder, file:FOLDER or s3:\/\/BUCKET\/PREFIX/);
  });
}

for (const text of [
  's3://key:hush-hush@bucket/a',
  's3://bucket?accessKeyId=key&secretAccessKey=hush-hush',
  's3://bucket?sessionToken=hush-hush',
  's3://bucket?endpoint=http://key:hush-hush@host:9000',
]) {
  test(`credentials are refused and not repeated: ${text}`, (t) => {
    const error = t.throws(() => parseBlobLocation(text), { code: 'USAGE' });
    t.regex(error.message, /give credentials by environment .* profile or role/);
    t.false(error.message.includes('hush-hush'));
  });
}
