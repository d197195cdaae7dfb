/**
 * Who a schema registry's client is. A secret is a reference to where it stands, read where the job runs
 * each time it is needed; it must never stand in a graph, a log or a message.
 */
import { group, isRecord, text } from '../../core/option-check.js';
import { checkSecret, readSecret, type SecretReference } from '../secret.js';

export type RegistryAuth =
  | { readonly username: string; readonly password: SecretReference }
  | { readonly token: SecretReference };

const checkToken = group<{ readonly token: SecretReference }>({ token: checkSecret });
const checkLogin = group<Exclude<RegistryAuth, { readonly token: SecretReference }>>({
  username: text('the name of the user'),
  password: checkSecret,
});

/** @throws MillraceError PARAM_INVALID when it holds a secret itself, or is incomplete */
export function checkRegistryAuth(name: string, auth: unknown): void {
  const hasToken = isRecord(auth) && auth['token'] !== undefined;
  (hasToken ? checkToken : checkLogin)(name, auth);
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
