/**
 * The files that a path stands for: one file, the files directly in a directory, or those whose
 * names match a pattern. Hidden names (`.` or `_` first) are skipped, so that what a file sink has
 * not committed is never read.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fitting, type OptionRule } from '../../core/option-check.js';
import { inputError, noFiles } from './input-error.js';

export interface InputFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** Whether the last part of a path is a pattern of `*` (any characters) and `?` (any one). */
export function isPattern(path: string): boolean {
  return /[*?]/.test(basename(path));
}

/** @throws MillraceError PARAM_INVALID when a pattern stands anywhere but in the last part */
export const checkPattern: OptionRule = fitting(
  'a file, a directory, or a pattern with "*" or "?" in its last part only',
  (path) => typeof path === 'string' && path !== '' && !/[*?]/.test(dirname(path)),
);

/**
 * In order of their names.
 * @param mayBeEmpty whether a directory may get its first file later
 * @throws MillraceError INPUT_MISSING or INPUT_INVALID naming the absolute path
 */
export async function listInputFiles(path: string, mayBeEmpty: boolean): Promise<InputFile[]> {
  try {
    const pattern = isPattern(path);
    const root = pattern ? dirname(path) : path;
    const stats = await stat(root);
    if (!pattern && !stats.isDirectory()) {
      if (!stats.isFile()) throw noFiles(path, 'what is no plain file:');
      return [{ path, sizeBytes: stats.size }];
    }
    const files = await listDirectory(root, pattern ? toRegExp(basename(path)) : /^/);
    if (files.length === 0 && !mayBeEmpty) throw noFiles(path, pattern ? 'pattern' : 'directory');
    return files;
  } catch (error) {
    throw inputError(path, error);
  }
}

async function listDirectory(directory: string, names: RegExp): Promise<InputFile[]> {
  const files: InputFile[] = [];
  for (const entry of (await readdir(directory)).sort()) {
    if (entry.startsWith('.') || entry.startsWith('_') || !names.test(entry)) continue;
    const path = join(directory, entry);
    const stats = await stat(path);
    if (stats.isFile()) files.push({ path, sizeBytes: stats.size });
  }
  return files;
}

function toRegExp(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}
