/**
 * Bundles on a worker's disk: fetched once, verified by the SHA-256 that names them, unpacked into a
 * folder where `import 'millrace'` finds this very engine (journey of a submit: task executor ->
 * bundle loader -> task). A folder stands under its final name only once it is whole.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUNDLE_MANIFEST, parseBundleManifest, type BundleManifest } from '../core/bundle.js';
import { MillraceError } from '../core/errors.js';
import { openBundleArchive } from '../storage/bundle-archive.js';
import { createFolder } from '../storage/create-folder.js';

/** Folder of the engine's package: the nearest one above this file with a package.json. */
function engineFolder(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new MillraceError('INTERNAL', 'the engine has no package.json');
    folder = parent;
  }
  return folder;
}

export class BundleLoader {
  readonly #folder: string;
  readonly #fetch: (bundleId: string) => Promise<Uint8Array>;
  readonly #loading = new Map<string, Promise<string>>();

  constructor(folder: string, fetch: (bundleId: string) => Promise<Uint8Array>) {
    this.#folder = folder;
    this.#fetch = fetch;
  }

  /**
   * The folder of the unpacked bundle.
   * @throws MillraceError BUNDLE_CORRUPT when what was fetched is not what was asked for
   */
  load(bundleId: string): Promise<string> {
    let loading = this.#loading.get(bundleId);
    if (loading === undefined) {
      loading = this.#unpack(bundleId);
      this.#loading.set(bundleId, loading);
      loading.catch(() => this.#loading.delete(bundleId));
    }
    return loading;
  }

  async #unpack(bundleId: string): Promise<string> {
    const target = path.join(this.#folder, bundleId);
    if (existsSync(target)) return target;
    const archive = await this.#fetch(bundleId);
    const sha256 = createHash('sha256').update(archive).digest('hex');
    if (sha256 !== bundleId) {
      throw new MillraceError(
        'BUNDLE_CORRUPT',
        `the bundle ${bundleId} arrived with SHA-256 ${sha256}; submit the job again`,
      );
    }
    const { files } = await openBundleArchive(archive);
    await createFolder(this.#folder);
    const temporary = await mkdtemp(path.join(this.#folder, '.unpacking-'));
    try {
      for (const [name, content] of files) {
        const file = path.join(temporary, ...name.split('/'));
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, content);
      }
      const modules = path.join(temporary, 'node_modules');
      await mkdir(modules);
      await symlink(engineFolder(), path.join(modules, 'millrace'), 'dir');
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw new MillraceError(
        'STORAGE_UNAVAILABLE',
        `the bundle can't be unpacked into ${target} (${error instanceof Error ? error.message : String(error)}); make room or choose another --data`,
        { cause: error },
      );
    }
    return target;
  }
}

/** @param folder of an unpacked bundle */
export async function readBundleManifest(folder: string): Promise<BundleManifest> {
  return parseBundleManifest(await readFile(path.join(folder, BUNDLE_MANIFEST), 'utf8'));
}
