/**
 * How a Kafka cluster is reached: what a job says (addresses, TLS, SASL), checked where the job is
 * built, and made ready with its secrets where it runs. A resolved connection must never be kept in a
 * graph, a split or a message.
 */
import type { ConnectionOptions as TlsSocketOptions } from 'node:tls';
import type { SASLOptions } from 'kafkajs';
import { MillraceError } from '../../core/errors.js';
import {
  group,
  isRecord,
  oneOf,
  optional,
  shown,
  text,
  wrong,
  type OptionRule,
} from '../../core/option-check.js';
import { checkSecret, readSecret, type SecretReference } from '../secret.js';
import { checkTls, resolveTls, type TlsOptions } from '../tls.js';

/** TLS with what differs from the machine's own trust store. */
export type KafkaTlsOptions = TlsOptions;

export type KafkaSaslOptions =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: SecretReference;
    }
  | {
      readonly mechanism: 'oauthbearer';
      /** The token, read again for every authentication: whoever issues it keeps the file fresh. */
      readonly token: SecretReference;
    };

export interface KafkaConnectionOptions {
  /** Addresses `host:port`; one that answers is enough, the others are learned from it. */
  readonly brokers: readonly string[];
  /** `true`: certificates are checked against the well-known authorities. */
  readonly tls?: boolean | KafkaTlsOptions;
  readonly sasl?: KafkaSaslOptions;
  /** For the brokers' logs and quotas; `millrace` by default. */
  readonly clientId?: string;
}

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** A connection with its secrets. */
export interface ResolvedConnection {
  readonly tls: TlsSocketOptions | null;
  readonly sasl: SASLOptions | null;
}

const PASSWORD_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'];
const TOKEN_MECHANISM = 'oauthbearer';

const mechanism = oneOf([...PASSWORD_MECHANISMS, TOKEN_MECHANISM]);
const checkPassword = group<Extract<KafkaSaslOptions, { readonly username: string }>>({
  mechanism,
  username: text('the name of the Kafka user'),
  password: checkSecret,
});
const checkToken = group<Extract<KafkaSaslOptions, { readonly mechanism: typeof TOKEN_MECHANISM }>>(
  { mechanism, token: checkSecret },
);

/** @throws MillraceError PARAM_INVALID naming what is wrong */
export const checkConnection: OptionRule = group<KafkaConnectionOptions>({
  brokers: checkBrokers,
  tls: (name, value) => {
    if (value !== undefined && typeof value !== 'boolean') checkTls(name, value);
  },
  sasl: optional((name, value) => {
    const named = isRecord(value) ? value['mechanism'] : undefined;
    if (named !== undefined) mechanism(`${name}.mechanism`, named);
    (named === TOKEN_MECHANISM ? checkToken : checkPassword)(name, value);
  }),
  clientId: optional(text('a name, or leave it out')),
});

function checkBrokers(name: string, brokers: unknown): void {
  if (!Array.isArray(brokers) || brokers.length === 0) {
    const found = Array.isArray(brokers) ? 'empty' : shown(brokers);
    throw wrong(name, found, "at least one address in a list, such as ['localhost:9092']");
  }
  for (const address of brokers) parseAddress(name, address);
}

/** @throws MillraceError PARAM_INVALID */
export function parseAddress(name: string, address: unknown): BrokerAddress {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(String(address));
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  throw new MillraceError(
    'PARAM_INVALID',
    `${name}: ${shown(address)} is not host:port; give it as "localhost:9092"`,
  );
}

/** @throws MillraceError PARAM_INVALID naming the secret that is not there */
export async function resolveConnection(
  options: KafkaConnectionOptions,
): Promise<ResolvedConnection> {
  const { tls = false, sasl } = options;
  return {
    tls: tls === false ? null : await resolveTls('tls', tls === true ? {} : tls),
    sasl: await resolveSasl(sasl),
  };
}

async function resolveSasl(sasl: KafkaSaslOptions | undefined): Promise<SASLOptions | null> {
  if (sasl === undefined) return null;
  if (sasl.mechanism === 'oauthbearer') {
    const read = (): Promise<string> => readSecret('sasl.token', sasl.token);
    await read();
    return {
      mechanism: sasl.mechanism,
      oauthBearerProvider: async () => ({ value: await read() }),
    };
  }
  const password = await readSecret('sasl.password', sasl.password);
  return { mechanism: sasl.mechanism, username: sasl.username, password };
}
