/**
 * From what a user writes after `--meta` to an open MetaStore. The only file that knows all
 * implementations.
 */
import type { Clock, Random } from '../core/clock.js';
import { MillraceError } from '../core/errors.js';
import { EtcdMetaStore } from './etcd-meta-store.js';
import { FileMetaStore } from './file-meta-store.js';
import type { MetaStore } from './meta-store.js';

export type MetaStoreSpec =
  | { readonly type: 'file'; readonly folder: string }
  | { readonly type: 'etcd'; readonly endpoints: readonly string[]; readonly prefix: string };

const DEFAULT_PREFIX = '/millrace/';

/**
 * @param spec `file:DIR`, a plain folder, or `etcd://HOST:PORT[,HOST:PORT...][/PREFIX]`
 * @throws MillraceError USAGE if it is neither; else as the store's `open`
 */
export function openMetaStore(
  spec: string,
  { clock, random }: { readonly clock: Clock; readonly random: Pick<Random, 'id'> },
): Promise<MetaStore> {
  const parsed = parseMetaStoreSpec(spec);
  return parsed.type === 'file'
    ? FileMetaStore.open(parsed.folder, { clock })
    : EtcdMetaStore.open({ endpoints: parsed.endpoints, prefix: parsed.prefix, clock, random });
}

/** @throws MillraceError USAGE */
export function parseMetaStoreSpec(spec: string): MetaStoreSpec {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(spec)?.[1];
  if (scheme === undefined) return fileSpec(spec, spec);
  if (scheme === 'file') return fileSpec(spec, spec.slice('file:'.length));
  if (scheme === 'etcd') return etcdSpec(spec);
  throw badSpec(spec, `the scheme ${scheme}: is not known`);
}

function fileSpec(spec: string, folder: string): MetaStoreSpec {
  if (folder.trim() === '') throw badSpec(spec, 'the folder is missing');
  if (folder.startsWith('//')) throw badSpec(spec, 'a folder follows file: without two slashes');
  return { type: 'file', folder };
}

function etcdSpec(spec: string): MetaStoreSpec {
  const [, members = '', path = ''] = /^etcd:\/\/([^/]*)(.*)$/.exec(spec) ?? [];
  const endpoints = members.split(',');
  for (const endpoint of endpoints) {
    const port = Number(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(endpoint)?.[1]);
    if (!(port >= 1 && port <= 65_535)) {
      throw badSpec(spec, `${JSON.stringify(endpoint)} is not HOST:PORT`);
    }
  }
  if (!/^(?:\/[A-Za-z0-9._-]+)*\/?$/.test(path)) {
    throw badSpec(spec, `the prefix ${JSON.stringify(path)} holds other than A-Z a-z 0-9 . _ - /`);
  }
  const prefix = path.replace(/\/$/, '') === '' ? DEFAULT_PREFIX : `${path.replace(/\/$/, '')}/`;
  return { type: 'etcd', endpoints, prefix };
}

function badSpec(spec: string, reason: string): MillraceError {
  return new MillraceError(
    'USAGE',
    `${JSON.stringify(spec)} names no meta store: ${reason}; ` +
      `write file:DIR or etcd://HOST:PORT,HOST:PORT[/PREFIX]`,
  );
}
