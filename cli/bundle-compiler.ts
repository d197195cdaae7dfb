/**
 * Compiles a job file, with everything it imports, to ESM modules with source maps. The engine
 * itself (`millrace`, `millrace/...`) stays an import that the worker answers, so that job and worker
 * share one copy. Output depends on the sources and their places relative to the job file alone: no
 * absolute path may enter it. Nothing is written to disk and no user code runs here.
 */
import path from 'node:path';
import { build, type BuildFailure, type Metafile, type OutputFile } from 'esbuild';
import { MillraceError } from '../core/errors.js';
import { compileError } from './compile-error.js';
import { nativeModulePlugin, refuseNativeModules, type NativeImport } from './native-modules.js';

/** CommonJS packages ask for Node's own modules through `require`, which an ES module lacks. */
const BANNER =
  "import { createRequire as millraceCreateRequire } from 'node:module'; " +
  'var require = millraceCreateRequire(import.meta.url);';

export interface CompilerEntry {
  /** Absolute path of the source file. */
  readonly file: string;
  /** Path within the bundle, without extension: `job`, `modules/0`. */
  readonly output: string;
}

export interface CompilerOptions {
  readonly entries: readonly CompilerEntry[];
  /** Folder of the job file, absolute and free of symbolic links. */
  readonly jobFolder: string;
  /** Folder that paths in messages are relative to. */
  readonly displayRoot: string;
  /** Aborted by Ctrl-C, which ends the bundler's own process as well. */
  readonly signal?: AbortSignal;
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

/**
 * @returns the files of the bundle by path: `<output>.mjs` and `<output>.mjs.map` per entry
 * @throws MillraceError BUNDLE_INVALID with file, line, column and the line of code; CANCELED
 */
export async function compileModules(
  options: CompilerOptions,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const natives: NativeImport[] = [];
  const outcome = await build({
    absWorkingDir: options.jobFolder,
    entryPoints: options.entries.map((entry) => ({ in: entry.file, out: entry.output })),
    outdir: options.jobFolder,
    outExtension: { '.js': '.mjs' },
    write: false,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    sourcesContent: true,
    charset: 'utf8',
    metafile: true,
    logLevel: 'silent',
    banner: { js: BANNER },
    external: ['millrace', 'millrace/*'],
    plugins: [nativeModulePlugin(natives)],
  }).catch((error: unknown) => {
    if (isBuildFailure(error)) throw compileError(error.errors, options);
    if (options.signal?.aborted === true) {
      throw new MillraceError('CANCELED', 'interrupted; nothing was changed');
    }
    throw new MillraceError('INTERNAL', 'the bundler failed; run with --verbose to see where', {
      cause: error,
    });
  });
  const { metafile, outputFiles }: { metafile: Metafile; outputFiles: OutputFile[] } = outcome;
  refuseNativeModules(natives, metafile, options);
  return new Map(
    outputFiles.map((file) => [
      path.relative(options.jobFolder, file.path).split(path.sep).join('/'),
      file.contents,
    ]),
  );
}
