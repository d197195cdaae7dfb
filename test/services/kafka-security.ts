/**
 * What makes a broker of the tests a guarded one: certificates of an authority of its own, users, and
 * the settings of listeners and authorizer. Secrets here guard nothing but tests.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BrokerSettings } from './kafka-settings.js';

/** Users of PLAIN and both SCRAMs, with their passwords. */
export const KAFKA_USERS = { alice: 'alice-secret', bob: 'bob-secret' } as const;
export type KafkaUser = keyof typeof KAFKA_USERS;

/** Who a client with the client's certificate is. */
export const CERTIFIED_USER = 'CN=millrace-client';

const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule';
const SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule';
const OAUTH = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule';
const SCRAM_MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
const TOKEN_LIFE_SECONDS = 3600;
const CERTIFICATE_DAYS = '2';

/** PEM texts as a client needs them. */
export interface ClientCertificates {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** A token of OAUTHBEARER that no one signed, which these brokers take. */
export function unsecuredToken(user: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: user, iat: now, exp: now + TOKEN_LIFE_SECONDS };
  const parts = [{ alg: 'none' }, claims].map((part) => JSON.stringify(part));
  return `${parts.map((part) => Buffer.from(part).toString('base64url')).join('.')}.`;
}

/** Who has no name is one of ours: the other listeners have no users. */
export function securitySettings(certificates: string): BrokerSettings {
  const users = Object.entries(KAFKA_USERS).map(([name, password]) => `user_${name}="${password}"`);
  const jaas = {
    plain: `${PLAIN} required ${users.join(' ')};`,
    'scram-sha-256': `${SCRAM} required;`,
    'scram-sha-512': `${SCRAM} required;`,
    oauthbearer: `${OAUTH} required unsecuredLoginStringClaim_sub="broker";`,
  };
  const logins = ['sasl_plaintext', 'sasl_ssl'].flatMap((listener) =>
    Object.entries(jaas).map(([mechanism, login]): readonly [string, string] => [
      `listener.name.${listener}.${mechanism}.sasl.jaas.config`,
      login,
    ]),
  );
  return {
    ...Object.fromEntries(logins),
    'sasl.enabled.mechanisms': ['PLAIN', ...SCRAM_MECHANISMS, 'OAUTHBEARER'].join(','),
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(certificates, 'broker.pem'),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(certificates, 'authority.pem'),
    'listener.name.ssl.ssl.client.auth': 'requested',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
    'allow.everyone.if.no.acl.found': true,
  };
}

/** What formats the users of SCRAM into the cluster. */
export function scramArguments(): string[] {
  return Object.entries(KAFKA_USERS).flatMap(([name, password]) =>
    SCRAM_MECHANISMS.flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  );
}

/** Makes an authority, and what it says of the broker and of a client, as files of the folder. */
export async function makeCertificates(folder: string): Promise<ClientCertificates> {
  const authority = join(folder, 'authority.pem');
  const authorityKey = join(folder, 'authority.key');
  await openssl(
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', CERTIFICATE_DAYS],
    ...['-subj', '/CN=millrace-test-authority', '-keyout', authorityKey, '-out', authority],
  );
  const certify = async (name: string): Promise<readonly [string, string]> => {
    const [key, request, certificate, extension] = ['key', 'csr', 'crt', 'ext'].map((kind) =>
      join(folder, `${name}.${kind}`),
    ) as [string, string, string, string];
    await writeFile(extension, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    await openssl(
      ...['req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=millrace-${name}`],
      ...['-keyout', key, '-out', request],
    );
    await openssl(
      ...['x509', '-req', '-in', request, '-CA', authority, '-CAkey', authorityKey],
      ...['-CAcreateserial', '-days', CERTIFICATE_DAYS, '-extfile', extension],
      ...['-out', certificate],
    );
    return [await readFile(certificate, 'utf8'), await readFile(key, 'utf8')];
  };
  const [brokerCertificate, brokerKey] = await certify('broker');
  await writeFile(join(folder, 'broker.pem'), `${brokerKey}${brokerCertificate}`);
  const [certificate, key] = await certify('client');
  return { authority: await readFile(authority, 'utf8'), certificate, key };
}

async function openssl(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('openssl', args);
}
