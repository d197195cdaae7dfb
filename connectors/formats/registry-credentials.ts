/**
 * Who a schema registry's client is. A secret is a reference to where it stands, read where the job runs
 * each time it is needed; it must never stand in a graph, a log or a message.
 */
import { MillraceError } from '../../core/errors.js';
import { checkSecret, readSecret, type SecretReference } from '../secret.js';

export type RegistryAuth =
  | { readonly username: string; readonly password: SecretReference }
  | { readonly token: SecretReference };

/** @throws MillraceError PARAM_INVALID when it holds a secret itself, or is incomplete */
export function checkRegistryAuth(auth: unknown): void {
  if (typeof auth === 'object' && auth !== null) {
    const { token, username, password } = auth as Readonly<Record<string, unknown>>;
    if (token !== undefined) return checkSecret('registry.auth.token', token);
    if (typeof username === 'string' && username !== '') {
      return checkSecret('registry.auth.password', password);
    }
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
  if ('token' in auth) return `Bearer ${await readSecret('registry.auth.token', auth.token)}`;
  const login = `${auth.username}:${await readSecret('registry.auth.password', auth.password)}`;
  return `Basic ${Buffer.from(login).toString('base64')}`;
}
