/**
 * Who a schema registry's client is. A secret is a reference to where it stands, read where the job runs
 * each time it is needed; it must never stand in a graph, a log or a message.
 */
import { readFile } from 'node:fs/promises';
import { MillraceError } from '../../core/errors.js';

/** An environment variable, or a file (a line break at its end is left out). */
export type RegistrySecret = { readonly env: string } | { readonly file: string };

export type RegistryAuth =
  | { readonly username: string; readonly password: RegistrySecret }
  | { readonly token: RegistrySecret };

/** @throws MillraceError PARAM_INVALID when it holds a secret itself, or is incomplete */
export function checkRegistryAuth(auth: unknown): void {
  if (typeof auth === 'object' && auth !== null) {
    const { token, username, password } = auth as Readonly<Record<string, unknown>>;
    if (isReference(token)) return;
    if (typeof username === 'string' && username !== '' && isReference(password)) return;
  }
  throw new MillraceError(
    'PARAM_INVALID',
    "registry.auth needs { username, password } or { token }, each secret as { env: 'NAME' } or { file: '/path' }; correct it",
  );
}

/**
 * The value of the header `authorization`.
 * @throws MillraceError PARAM_INVALID naming the variable or file that is not there
 */
export async function authorizationOf(auth: RegistryAuth): Promise<string> {
  if ('token' in auth) return `Bearer ${await readSecret(auth.token)}`;
  const login = `${auth.username}:${await readSecret(auth.password)}`;
  return `Basic ${Buffer.from(login).toString('base64')}`;
}

function isReference(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const [entry, ...others] = Object.entries(value) as [string, unknown][];
  return (
    others.length === 0 &&
    (entry?.[0] === 'env' || entry?.[0] === 'file') &&
    typeof entry[1] === 'string' &&
    entry[1] !== ''
  );
}

async function readSecret(reference: RegistrySecret): Promise<string> {
  if ('env' in reference) {
    const value = process.env[reference.env];
    if (value !== undefined && value !== '') return value;
    throw new MillraceError(
      'PARAM_INVALID',
      `registry.auth: there is no environment variable ${reference.env}; set it where the worker is started`,
    );
  }
  try {
    return (await readFile(reference.file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError(
      'PARAM_INVALID',
      `registry.auth: can't read ${reference.file} (${reason}); put the secret there, readable for the worker`,
      { cause: error },
    );
  }
}
