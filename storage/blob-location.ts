/**
 * What a user writes after `--checkpoint-storage`, read and written back: a folder, `file:FOLDER`, or
 * `s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&pathStyle=BOOLEAN]`. The coordinator passes the
 * written form on to its workers, so it must hold no credentials, and an error about one must not
 * repeat it.
 */
import { resolve } from 'node:path';
import { MillraceError } from '../core/errors.js';

export interface S3Location {
  readonly type: 's3';
  readonly bucket: string;
  /** Before every key: empty, or ending in a slash. */
  readonly prefix: string;
  /** Of a server that is not AWS; unset: the SDK's own choice. */
  readonly endpoint?: string;
  /** Unset: the SDK's own choice (environment, profile). */
  readonly region?: string;
  /** The bucket in the path (`http://host/bucket`) and not in the host name. */
  readonly pathStyle: boolean;
}

export type BlobLocation = { readonly type: 'file'; readonly folder: string } | S3Location;

const PARAMETERS = ['endpoint', 'region', 'pathStyle'];
/** With the longest key still within the 1,024 bytes that S3 allows. */
const PREFIX_BYTES_MAX = 256;

/** @throws MillraceError USAGE saying what is wrong with it */
export function parseBlobLocation(location: string): BlobLocation {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(location)?.[1];
  if (scheme === undefined) return fileLocation(location);
  if (scheme === 'file') return fileLocation(location.replace(/^file:(\/\/)?/, ''));
  if (scheme === 's3') return s3Location(location);
  throw badLocation(`the scheme ${scheme}: is not known`);
}

/** The same location on one line, a folder with its absolute path. */
export function formatBlobLocation(location: BlobLocation): string {
  if (location.type === 'file') return `file:${location.folder}`;
  const { bucket, prefix, endpoint, region, pathStyle } = location;
  const parameters = new URLSearchParams({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    pathStyle: String(pathStyle),
  });
  return `s3://${bucket}/${prefix}?${parameters.toString()}`;
}

function fileLocation(folder: string): BlobLocation {
  if (folder.trim() === '') throw badLocation('the folder is missing');
  return { type: 'file', folder: resolve(folder) };
}

function s3Location(location: string): S3Location {
  const [, bucket = '', path = '', query = ''] =
    /^s3:\/\/([^/?]*)([^?]*)(?:\?(.*))?$/.exec(location) ?? [];
  if (bucket.includes('@')) throw credentialsIn('before the bucket');
  if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw badLocation(`${JSON.stringify(bucket)} is no name of a bucket`);
  }
  const parameters = parseParameters(query);
  const endpoint = parameters.get('endpoint');
  const region = parameters.get('region');
  if (region !== undefined && !/^[a-z0-9-]{1,64}$/.test(region)) {
    throw badLocation('the region holds other than a-z 0-9 -');
  }
  return {
    type: 's3',
    bucket,
    prefix: parsePrefix(path),
    ...(endpoint === undefined ? {} : { endpoint: parseEndpoint(endpoint) }),
    ...(region === undefined ? {} : { region }),
    // What isn't AWS seldom has a host name for every bucket.
    pathStyle: parsePathStyle(parameters.get('pathStyle')) ?? endpoint !== undefined,
  };
}

function parsePrefix(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '');
  if (!segments.every((segment) => /^[A-Za-z0-9_=-][A-Za-z0-9._=-]*$/.test(segment))) {
    throw badLocation('the prefix holds other than A-Z a-z 0-9 . _ = - between its slashes');
  }
  const prefix = segments.map((segment) => `${segment}/`).join('');
  if (prefix.length <= PREFIX_BYTES_MAX) return prefix;
  throw badLocation(`the prefix is longer than ${PREFIX_BYTES_MAX} bytes`);
}

function parseParameters(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (/key|secret|token|credential|password/i.test(name)) throw credentialsIn('in a parameter');
    if (!PARAMETERS.includes(name)) {
      throw badLocation(`a parameter is none of ${PARAMETERS.join(', ')}`);
    }
    if (parameters.has(name)) throw badLocation(`the parameter ${name} stands there twice`);
    parameters.set(name, value);
  }
  return parameters;
}

function parseEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw badLocation('the endpoint is no http:// or https:// address');
  }
  if (url.username !== '' || url.password !== '') throw credentialsIn('in the endpoint');
  if (url.search !== '' || url.hash !== '') throw badLocation('the endpoint has a query');
  return url.href.replace(/\/$/, '');
}

function parsePathStyle(text: string | undefined): boolean | undefined {
  if (text === undefined || text === 'true' || text === 'false') {
    return text === undefined ? undefined : text === 'true';
  }
  throw badLocation('pathStyle is neither true nor false');
}

function credentialsIn(where: string): MillraceError {
  return badLocation(
    `something like credentials stands ${where}, where others can read it; ` +
      'give credentials by environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), profile or role',
  );
}

function badLocation(reason: string): MillraceError {
  return new MillraceError(
    'USAGE',
    `the checkpoint storage can't be used: ${reason}; give a folder, file:FOLDER or ` +
      's3://BUCKET/PREFIX?endpoint=URL&region=NAME&pathStyle=true',
  );
}
