/**
 * Secrets as references: a job names where a secret stands, and the secret itself is read where the
 * job runs, each time it is needed. It must never stand in a graph, a log or a message.
 */
import { readFile } from 'node:fs/promises';
import { MillraceError } from '../core/errors.js';

/** An environment variable, or a file, where the job runs (a line break at its end is left out). */
export type SecretReference = { readonly env: string } | { readonly file: string };

/** @throws MillraceError PARAM_INVALID when it is not a reference */
export function checkSecret(option: string, value: unknown): void {
  if (typeof value === 'object' && value !== null) {
    const names = Object.keys(value);
    const [name] = names;
    if (names.length === 1 && (name === 'env' || name === 'file')) {
      const target: unknown = Object.values(value)[0];
      if (typeof target === 'string' && target !== '') return;
    }
  }
  throw new MillraceError(
    'PARAM_INVALID',
    `${option} must say where the secret is kept; give { env: 'NAME' } or { file: '/path' }, never the secret`,
  );
}

/** @throws MillraceError PARAM_INVALID naming the variable or file that is not there */
export async function readSecret(option: string, reference: SecretReference): Promise<string> {
  if ('env' in reference) {
    const value = process.env[reference.env];
    if (value !== undefined && value !== '') return value;
    throw new MillraceError(
      'PARAM_INVALID',
      `${option}: the worker has no environment variable ${reference.env}; set it where the worker is started`,
    );
  }
  try {
    const text = await readFile(reference.file, 'utf8');
    return text.replace(/\r?\n$/, '');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError(
      'PARAM_INVALID',
      `${option}: can't read ${reference.file} (${reason}); put the secret there, readable for the worker`,
      { cause: error },
    );
  }
}
