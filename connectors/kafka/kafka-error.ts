/**
 * What can go wrong between us and a Kafka broker, in words that name broker, topic and partition and
 * end with the remedy. `kafkaCode` is for the code that must decide; people read the message.
 */
import { errorCodes } from 'kafkajs/src/protocol/error.js';
import { isMillraceError, MillraceError, type ErrorCode } from '../../core/errors.js';
import { tlsReason } from '../tls.js';

/** Names of our own for what no broker answered. */
export type ConnectionFailure =
  'CONNECTION_FAILED' | 'GREETING_REFUSED' | 'REQUEST_TIMEOUT' | 'VERSION_UNSUPPORTED';

/** A broker's words for a transaction that is no more: it has ended, or another producer has the id. */
export const TRANSACTION_OVER: readonly string[] = [
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_TXN_STATE',
  'INVALID_PRODUCER_ID_MAPPING',
  'UNKNOWN_PRODUCER_ID',
  'TRANSACTION_ABORTABLE',
];

export class KafkaError extends MillraceError {
  /** The broker's name for it, such as OFFSET_OUT_OF_RANGE, or a ConnectionFailure. */
  readonly kafkaCode: string;
  /** Whether the same request may succeed later. */
  readonly retriable: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    details: { readonly kafkaCode: string; readonly retriable: boolean; readonly cause?: unknown },
  ) {
    super(code, message, 'cause' in details ? { cause: details.cause } : {});
    this.kafkaCode = details.kafkaCode;
    this.retriable = details.retriable;
  }
}

/** Where an answer came from, as far as it is known. */
export interface KafkaPlace {
  readonly broker: string;
  readonly topic?: string;
  readonly partition?: number;
  readonly group?: string;
  readonly transactionalId?: string;
}

interface KnownError {
  readonly name: string;
  readonly retriable: boolean;
  readonly message: string;
}

const KNOWN = new Map<number, KnownError>([
  ...errorCodes.map(({ type, code, retriable, message }): [number, KnownError] => [
    code,
    { name: type, retriable, message },
  ]),
  [89, later('THROTTLING_QUOTA_EXCEEDED', 'the quota of requests is used up')],
  [90, never('PRODUCER_FENCED', 'a newer producer has taken the transactional id')],
  [100, later('UNKNOWN_TOPIC_ID', 'the broker has no topic with this id')],
  [103, later('INCONSISTENT_TOPIC_ID', 'the topic has another id by now')],
  [120, never('TRANSACTION_ABORTABLE', 'the transaction has to be aborted')],
]);

/** What to do about errors that are common enough to be known by what to do. */
const REMEDIES: Readonly<Record<string, { readonly code: ErrorCode; readonly remedy: string }>> = {
  TOPIC_AUTHORIZATION_FAILED: denied('give the user an ACL for the topic'),
  GROUP_AUTHORIZATION_FAILED: denied('give the user an ACL for the group, or leave out groupId'),
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: denied(
    "give the user WRITE and DESCRIBE on all transactional ids that begin with the sink's " +
      'transactionalIdPrefix (an ACL of the pattern type PREFIXED)',
  ),
  CLUSTER_AUTHORIZATION_FAILED: denied('give the user the ACL for the cluster'),
  SASL_AUTHENTICATION_FAILED: denied('correct the user name and password'),
  UNKNOWN_TOPIC_OR_PARTITION: missing('create the topic, or correct its name'),
  UNKNOWN_TOPIC_ID: missing('create the topic, or correct its name'),
  INVALID_TOPIC_EXCEPTION: missing("correct the topic's name"),
  MESSAGE_TOO_LARGE: refused("raise the topic's max.message.bytes, or make the record smaller"),
  RECORD_LIST_TOO_LARGE: refused("raise the topic's segment.bytes, or make the batch smaller"),
  INVALID_TIMESTAMP: refused(
    "give times in ms, or raise the topic's message.timestamp.after.max.ms or .before.max.ms",
  ),
  POLICY_VIOLATION: refused("follow the cluster's policy"),
  INVALID_TRANSACTION_TIMEOUT: refused(
    "shorten the transaction timeout, or raise the broker's transaction.max.timeout.ms",
  ),
  PRODUCER_FENCED: refused('only one job may use this transactional id: rename one'),
  INVALID_PRODUCER_EPOCH: refused('only one job may use this transactional id: rename one'),
  NOT_ENOUGH_REPLICAS: refused('bring the missing brokers back (min.insync.replicas)'),
};

/** The error of a broker's answer. @param code other than 0 */
export function answerError(
  apiName: string,
  code: number,
  place: KafkaPlace,
  detail?: string | null,
): KafkaError {
  const known = KNOWN.get(code) ?? never(`ERROR_${String(code)}`, 'an error that is not known');
  const { code: ours, remedy } = REMEDIES[known.name] ?? refused(lookAtBroker(known.retriable));
  const reason = detail ?? known.message;
  return new KafkaError(
    ours,
    `Kafka broker ${place.broker} refused ${apiName}${subject(place)}: ${known.name} ` +
      `(${reason}); ${remedy}`,
    { kafkaCode: known.name, retriable: known.retriable },
  );
}

/** How far a connection came. */
export interface ConnectionState {
  readonly tls: boolean;
  readonly sasl: boolean;
  /** The broker has told what it knows. */
  readonly greeted: boolean;
  /** It let us in, or answered a request. */
  readonly served: boolean;
}

/** A broker that could not be reached, or that went away. */
export function connectionError(
  broker: string,
  cause: unknown,
  state: ConnectionState,
): MillraceError {
  if (isMillraceError(cause)) return cause;
  const { name, message, code } = describe(cause);
  const at = `Kafka broker ${broker}`;
  const failed = (kafkaCode: ConnectionFailure, text: string, retriable = true): KafkaError =>
    new KafkaError('BROKER_UNREACHABLE', text, { kafkaCode, retriable, cause });
  if (isLoginRefused(cause)) {
    if (state.served) {
      return failed(
        'CONNECTION_FAILED',
        `${at} did not renew the login (${message}); it is tried anew`,
      );
    }
    return new KafkaError(
      'ACCESS_DENIED',
      `${at} did not let the user in (${message}); correct sasl: mechanism, user name and secret`,
      { kafkaCode: 'SASL_AUTHENTICATION_FAILED', retriable: false, cause },
    );
  }
  if (/_ALERT_/.test(code)) {
    const text = `${at} refused the TLS connection (${message}); give the client's tls.certificate and key`;
    return failed('GREETING_REFUSED', text, false);
  }
  if (/EPROTO|ERR_SSL|wrong version number|packet length/i.test(`${code} ${message}`)) {
    const text = `${at} does not speak TLS on this port (${message}); correct the port, or leave out tls`;
    return failed('GREETING_REFUSED', text, false);
  }
  if (/CERT|SIGNED|ISSUER/.test(code) || /certificate/i.test(message)) {
    const text =
      `the certificate of ${at} is not trusted (${message}); give the authority as tls.ca, ` +
      'or the name on the certificate as tls.serverName';
    return failed('GREETING_REFUSED', text, false);
  }
  if (/ENOTFOUND|EAI_AGAIN/.test(code)) {
    return failed('CONNECTION_FAILED', `${at}: no such host (${code}); correct the address`);
  }
  if (code === 'ECONNREFUSED') {
    const text = `${at}: nothing listens there (${code}); start it, or correct the address`;
    return failed('CONNECTION_FAILED', text);
  }
  if (!state.served && (name.includes('Closed') || code === 'ECONNRESET')) {
    return failed('GREETING_REFUSED', `${at} ${refusedGreeting(state)}`);
  }
  return failed(
    name.includes('Timeout') ? 'REQUEST_TIMEOUT' : 'CONNECTION_FAILED',
    `${at} can't be reached (${message}); check the broker and the network`,
  );
}

/** Whether this is kafkajs' word for a login, or its renewal, that was not let in. */
export function isLoginRefused(cause: unknown): boolean {
  const { name, type } = describe(cause);
  return name.includes('SASL') || type === 'ILLEGAL_SASL_STATE';
}

function refusedGreeting({ greeted, sasl, tls }: ConnectionState): string {
  if (greeted) {
    const login = sasl ? 'what sasl says' : 'whether it expects a login (then set sasl)';
    return `closed the connection at the first request; check ${login}`;
  }
  const hint = tls
    ? 'that it speaks TLS (else leave out tls)'
    : 'whether it expects TLS (then set tls)';
  return `closed the connection at the greeting; check that this is a Kafka port, and ${hint}`;
}

/** A broker that is too old for a request. */
export function versionError(broker: string, apiName: string, apiVersion: number): KafkaError {
  return new KafkaError(
    'VERSION_MISMATCH',
    `Kafka broker ${broker} does not know ${apiName} in version ${String(apiVersion)}; ` +
      'use Kafka 3.1 or newer',
    { kafkaCode: 'VERSION_UNSUPPORTED', retriable: false },
  );
}

export function isRetriable(error: unknown): boolean {
  return error instanceof KafkaError && error.retriable;
}

export function hasKafkaCode(
  error: unknown,
  ...kafkaCodes: readonly string[]
): error is KafkaError {
  return error instanceof KafkaError && kafkaCodes.includes(error.kafkaCode);
}

function subject({ topic, partition, group, transactionalId }: KafkaPlace): string {
  const where = partition === undefined ? '' : ` partition ${partition}`;
  return [
    topic === undefined ? '' : ` for topic "${topic}"${where}`,
    group === undefined ? '' : ` for group "${group}"`,
    transactionalId === undefined ? '' : ` for transactional id "${transactionalId}"`,
  ].join('');
}

function describe(cause: unknown): { name: string; message: string; code: string; type: string } {
  if (!(cause instanceof Error)) return { name: '', message: String(cause), code: '', type: '' };
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  // A broker's answer, where kafkajs asked.
  const type = 'type' in cause && typeof cause.type === 'string' ? cause.type : '';
  return { name: cause.name, message: tlsReason(cause.message), code, type };
}

function later(name: string, message: string): KnownError {
  return { name, retriable: true, message };
}

function never(name: string, message: string): KnownError {
  return { name, retriable: false, message };
}

function denied(remedy: string): { code: ErrorCode; remedy: string } {
  return { code: 'ACCESS_DENIED', remedy };
}

function missing(remedy: string): { code: ErrorCode; remedy: string } {
  return { code: 'TOPIC_MISSING', remedy };
}

function refused(remedy: string): { code: ErrorCode; remedy: string } {
  return { code: 'BROKER_REFUSED', remedy };
}

function lookAtBroker(retriable: boolean): string {
  return retriable
    ? 'it may pass; if it lasts, look into the log of the broker'
    : 'look into the log of the broker';
}
