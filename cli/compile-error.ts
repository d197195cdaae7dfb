/**
 * Says in the user's words why a job file does not compile: place, line of code, remedy. The
 * bundler's own wording is kept only where it speaks of the language (syntax errors).
 */
import path from 'node:path';
import type { Message } from 'esbuild';
import { MillraceError } from '../core/errors.js';

/** More errors than this help nobody: the later ones mostly follow from the first. */
const ERRORS_SHOWN_MAX = 5;

interface Explanation {
  readonly what: string;
  readonly remedy: string;
}

function explain(text: string): Explanation {
  const unresolved = /^Could not resolve "(.*)"$/.exec(text)?.[1];
  if (unresolved !== undefined) {
    const isFile = unresolved.startsWith('.') || path.isAbsolute(unresolved);
    return {
      what: `nothing is found for the import "${unresolved}"`,
      remedy: isFile
        ? 'check the path, it is relative to the importing file'
        : `add the package with: npm install ${unresolved}`,
    };
  }
  const missing = /^No matching export in "(.*)" for import "(.*)"$/.exec(text);
  if (missing !== null) {
    return {
      what: `"${missing[1] ?? ''}" has no export "${missing[2] ?? ''}"`,
      remedy: 'check the name, or export it there',
    };
  }
  const loader = /^No loader is configured for "(.*)" files/.exec(text)?.[1];
  if (loader !== undefined) {
    return {
      what: `a ${loader} file can't be imported`,
      remedy: 'put it into the folder "assets" beside the job file and read it from there',
    };
  }
  return { what: text, remedy: 'correct the line and try again' };
}

function describe(
  message: Message,
  places: { readonly jobFolder: string; readonly displayRoot: string },
): string {
  const { what, remedy } = explain(message.text);
  const { location } = message;
  if (location === null) return `${what}; ${remedy}`;
  const file = path.relative(places.displayRoot, path.resolve(places.jobFolder, location.file));
  const code = location.lineText.slice(0, 200);
  const gutter = String(location.line);
  return [
    `${file}:${location.line}:${location.column + 1}: ${what}`,
    `  ${gutter} | ${code}`,
    `  ${' '.repeat(gutter.length)} | ${code.slice(0, location.column).replace(/[^\t]/g, ' ')}^`,
    `  ${remedy}`,
  ].join('\n');
}

export function compileError(
  messages: readonly Message[],
  places: { readonly jobFolder: string; readonly displayRoot: string },
): MillraceError {
  const shown = messages.slice(0, ERRORS_SHOWN_MAX).map((message) => describe(message, places));
  const hidden = messages.length - shown.length;
  if (hidden > 0) shown.push(`and ${hidden} more`);
  return new MillraceError('BUNDLE_INVALID', shown.join('\n'));
}
