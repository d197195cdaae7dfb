import test from 'ava';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Header, type HeaderData } from 'tar';
import { BUNDLE_ENTRY, BUNDLE_LIMITS, BUNDLE_MANIFEST } from '../../core/bundle.js';
import { isMillraceError } from '../../core/errors.js';
import {
  bundleIdOf,
  openBundleArchive,
  readBundleArchive,
  writeBundleArchive,
} from '../../storage/bundle-archive.js';
import { exampleArchive, exampleFiles, exampleGraph } from '../bundle-fixture.js';

/** One entry as an attacker might write it. */
function entry(data: HeaderData, content = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(512);
  new Header({ mode: 0o644, size: content.byteLength, type: 'File', ...data }).encode(header, 0);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.byteLength % 512)) % 512)]);
}

function archiveOf(...entries: Buffer[]): Buffer {
  return gzipSync(Buffer.concat([...entries, Buffer.alloc(1024)]));
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
  return 'none';
}

test('what is written is read back, and equal files give an equal id whatever their order', async (t) => {
  const files = exampleFiles();
  const archive = await writeBundleArchive(files);
  const reversed = await writeBundleArchive(new Map([...files].reverse()));
  t.is(bundleIdOf(archive), bundleIdOf(reversed));
  const read = await readBundleArchive(archive);
  t.deepEqual(
    [...read].map(([path, content]) => [path, Buffer.from(content).toString()]),
    [...files].sort().map(([path, content]) => [path, Buffer.from(content).toString()]),
  );
  const { manifest } = await openBundleArchive(archive);
  t.is(manifest.jobName, 'example');
  t.deepEqual(JSON.parse(JSON.stringify(manifest.streamGraph)), exampleGraph());
});

test('a file of no bytes and one that ends on a block border survive', async (t) => {
  const files = new Map([
    ['assets/empty', new Uint8Array()],
    ['assets/full', new Uint8Array(512).fill(7)],
  ]);
  t.deepEqual(
    [...(await readBundleArchive(await writeBundleArchive(files)))].map(([path, content]) => [
      path,
      content.byteLength,
    ]),
    [
      ['assets/empty', 0],
      ['assets/full', 512],
    ],
  );
});

const refused: readonly [string, () => Buffer][] = [
  [
    'a symbolic link',
    () => archiveOf(entry({ path: 'a', type: 'SymbolicLink', linkpath: '/etc' })),
  ],
  ['a hard link', () => archiveOf(entry({ path: 'a', type: 'Link', linkpath: 'b' }))],
  ['a folder', () => archiveOf(entry({ path: 'a/', type: 'Directory' }))],
  ['a device', () => archiveOf(entry({ path: 'a', type: 'CharacterDevice' }))],
  ['an extended header', () => archiveOf(entry({ path: 'a', type: 'ExtendedHeader' }))],
  ['an absolute path', () => archiveOf(entry({ path: '/etc/passwd' }))],
  ['a path with ..', () => archiveOf(entry({ path: 'a/../../b' }))],
  ['a hidden file', () => archiveOf(entry({ path: '.env' }))],
  ['a backslash', () => archiveOf(entry({ path: 'a\\b' }))],
  ['one path twice', () => archiveOf(entry({ path: 'a' }), entry({ path: 'a' }))],
  ['bytes after the end', () => gzipSync(Buffer.concat([Buffer.alloc(1024), Buffer.from('x')]))],
  ['no end', () => gzipSync(entry({ path: 'a' }))],
  ['a cut file', () => gzipSync(entry({ path: 'a' }, Buffer.alloc(2000)).subarray(0, 1024))],
  ['no gzip', () => Buffer.from('hello')],
];
for (const [what, make] of refused) {
  test(`an archive with ${what} is refused`, async (t) => {
    t.is(await codeOf(readBundleArchive(make())), 'BUNDLE_INVALID');
  });
}

test('a decompression bomb, too many files and too many bytes are refused', async (t) => {
  const bomb = archiveOf(entry({ path: 'zeros' }, Buffer.alloc(8 * 1024 * 1024)));
  const limits = { ...BUNDLE_LIMITS, ratioMax: 10, entriesMax: 2 };
  t.is(await codeOf(readBundleArchive(bomb, limits)), 'BUNDLE_TOO_LARGE');
  const many = archiveOf(entry({ path: 'a' }), entry({ path: 'b' }), entry({ path: 'c' }));
  t.is(await codeOf(readBundleArchive(many, limits)), 'BUNDLE_TOO_LARGE');
  t.is(
    await codeOf(readBundleArchive(many, { ...BUNDLE_LIMITS, archiveBytesMax: 10 })),
    'BUNDLE_TOO_LARGE',
  );
});

test('a flipped byte anywhere in the content is noticed', async (t) => {
  const tar = gunzipSync(await exampleArchive());
  for (let at = 0; at < tar.byteLength - 1024; at += 37) {
    const flipped = Buffer.from(tar);
    flipped[at] = (flipped[at] ?? 0) ^ 0x01;
    const code = await codeOf(openBundleArchive(gzipSync(flipped, { level: 1 })));
    // A byte of padding, or of a name inside the manifest, may change without harm to anything hashed.
    if (code === 'none') t.true(isPadding(tar, at) || isManifest(tar, at), `byte ${at}`);
  }
});

function isPadding(tar: Buffer, at: number): boolean {
  return tar[at] === 0;
}

function isManifest(tar: Buffer, at: number): boolean {
  const start = tar.indexOf(BUNDLE_MANIFEST);
  return at > start;
}

test('the manifest must tell the truth', async (t) => {
  const wrong = async (manifest: Parameters<typeof exampleFiles>[1]): Promise<string> =>
    codeOf(openBundleArchive(await exampleArchive(exampleGraph(), manifest)));
  t.is(await wrong({ jobName: 'other' }), 'BUNDLE_INVALID');
  t.is(await wrong({ engineVersion: '9.9.0' }), 'VERSION_MISMATCH');
  t.is(await wrong({ formatVersion: 2 }), 'VERSION_MISMATCH');
  t.is(await wrong({ entry: 'evil.mjs' }), 'BUNDLE_INVALID');
  t.is(await wrong({ files: [] }), 'BUNDLE_INVALID');
  const missing = exampleFiles();
  missing.delete(BUNDLE_ENTRY);
  t.is(await codeOf(openBundleArchive(await writeBundleArchive(missing))), 'BUNDLE_INVALID');
  const without = exampleFiles();
  without.delete(BUNDLE_MANIFEST);
  t.is(await codeOf(openBundleArchive(await writeBundleArchive(without))), 'BUNDLE_INVALID');
});

test('a graph of the wrong form names its field', async (t) => {
  const graph = { ...exampleGraph(), nodes: [{ name: 'x' }] } as unknown as ReturnType<
    typeof exampleGraph
  >;
  await t.throwsAsync(openBundleArchive(await exampleArchive(graph)), {
    message: /manifest\.streamGraph\.nodes\[0\]\.kind must be one of/,
  });
});
