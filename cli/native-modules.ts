/**
 * Finds native modules among a job's imports. Machine code can't travel in a bundle: it would fit
 * neither the worker's platform nor its isolates. The plugin only notes them, so that the whole
 * import graph is known when the refusal names the chain that leads there.
 */
import path from 'node:path';
import type { Metafile, Plugin } from 'esbuild';
import { MillraceError } from '../core/errors.js';

export interface NativeImport {
  /** As written in the source. */
  readonly specifier: string;
  /** Absolute path of the importing file. */
  readonly importer: string;
}

/** Packages whose only purpose is to find and load a .node file next to whoever calls them. */
const NATIVE_FILTER =
  /\.node$|^(?:bindings|node-gyp-build(?:-optional-packages)?|node-pre-gyp|@mapbox\/node-pre-gyp|prebuild-install|node-bindings|pkg-prebuilds)(?:\/.*)?$/;

export function nativeModulePlugin(found: NativeImport[]): Plugin {
  return {
    name: 'native-modules',
    setup(build) {
      build.onResolve({ filter: NATIVE_FILTER }, ({ path: specifier, importer }) => {
        found.push({ specifier, importer });
        return { path: specifier, external: true };
      });
    },
  };
}

/** The npm package that a file belongs to; undefined for the job's own files. */
function packageOf(file: string): string | undefined {
  const segments = file.split('/');
  const folder = segments.lastIndexOf('node_modules');
  const name = segments[folder + 1];
  if (folder === -1 || name === undefined) return undefined;
  return name.startsWith('@') ? `${name}/${segments[folder + 2] ?? ''}` : name;
}

/** The shortest way from an entry point to `target` along imports; both included. */
function importChain(metafile: Metafile, target: string): readonly string[] {
  const entries = Object.values(metafile.outputs).flatMap((output) => output.entryPoint ?? []);
  const cameFrom = new Map<string, string | undefined>(entries.map((entry) => [entry, undefined]));
  for (const file of cameFrom.keys()) {
    for (const imported of metafile.inputs[file]?.imports ?? []) {
      if (imported.external !== true && !cameFrom.has(imported.path)) {
        cameFrom.set(imported.path, file);
      }
    }
  }
  const chain: string[] = [];
  for (let at: string | undefined = target; at !== undefined; at = cameFrom.get(at))
    chain.unshift(at);
  return chain;
}

/** @throws MillraceError BUNDLE_INVALID naming the package and the chain of imports, if any was found */
export function refuseNativeModules(
  found: readonly NativeImport[],
  metafile: Metafile,
  places: { readonly jobFolder: string; readonly displayRoot: string },
): void {
  const first = found[0];
  if (first === undefined) return;
  const importer = path.relative(places.jobFolder, first.importer).split(path.sep).join('/');
  const owner = packageOf(importer);
  const chain = importChain(metafile, importer).map(
    (file) =>
      packageOf(file) ?? path.relative(places.displayRoot, path.join(places.jobFolder, file)),
  );
  const steps = [...chain, first.specifier].filter((step, index, all) => step !== all[index - 1]);
  throw new MillraceError(
    'BUNDLE_INVALID',
    `${owner === undefined ? `"${first.specifier}"` : `package "${owner}"`} is a native module, ` +
      `which a bundle can't carry\n  imported along ${steps.join(' -> ')}\n` +
      '  use a package written in JavaScript or WebAssembly in its place',
  );
}
