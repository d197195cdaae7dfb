/**
 * An error as the command line shows it: one message, and the lines of the user's own code that led
 * to it. The engine's stack is for its developers: it appears only with --verbose.
 */
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMillraceError, toMillraceError } from '../core/errors.js';

/** This package; a file of cli is compiled to dist/cli. */
const ENGINE_ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Its own code, compiled or as its source maps name it; jobs within it are a user's. */
const ENGINE_FOLDERS = [
  'dist',
  'api',
  'cli',
  'connectors',
  'coordinator',
  'core',
  'storage',
  'worker',
];
const FRAMES_MAX = 10;

function isEngineCode(line: string): boolean {
  return ENGINE_FOLDERS.some((folder) => line.includes(`${ENGINE_ROOT}${folder}${sep}`));
}

/** Code that the engine generates at run time has no file, or one of this scheme. */
const GENERATED_CODE = /<anonymous>:\d|\bmillrace:/;
/** Where a worker keeps a bundle: the user knows the files below it by their own paths. */
const BUNDLE_FOLDER = /(?:file:\/\/)?[^\s()]*[/\\]bundles[/\\][0-9a-f]{64}[/\\]/;

/** Frames of a stack trace that are the user's: not the engine's, a package's or Node's. */
export function userFrames(stack: string): readonly string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s+at .*:\d+/.test(line))
    .filter((line) => !/node:|[/\\]node_modules[/\\]/.test(line) && !isEngineCode(line))
    .filter((line) => !GENERATED_CODE.test(line))
    .map((line) => line.replace(BUNDLE_FOLDER, ''))
    .slice(0, FRAMES_MAX)
    .map((line) => `    ${line.trim()}`);
}

/** @returns lines that end in "\n" */
export function reportError(error: unknown, options: { readonly verbose: boolean }): string {
  const known = isMillraceError(error) ? error : toMillraceError(error, 'INTERNAL');
  const message = isMillraceError(error)
    ? known.message
    : `${known.message}; this is a fault of millrace: run again with --verbose and report what it shows`;
  const lines = [`error: ${message}`];
  if (options.verbose) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) lines.push(at.stack ?? '');
  } else if (isMillraceError(error) && error.domain === 'user') {
    lines.push(...userFrames(error.stack ?? ''));
  }
  return `${lines.join('\n')}\n`;
}
