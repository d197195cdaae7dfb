/**
 * What a Kafka source says of itself in the job's graph, for commands that ask the brokers: where they
 * are, which topics it reads, and which group is told of its positions. Secrets are references.
 */
import { MillraceError } from '../../core/errors.js';
import { JsonReader, JsonShapeError } from '../../core/json-reader.js';
import { checkConnection, type KafkaConnectionOptions } from './kafka-connection.js';
import type { IsolationLevel } from './record-set-reader.js';

export interface KafkaSourceInfo {
  readonly connection: KafkaConnectionOptions;
  readonly topics: readonly string[] | RegExp;
  readonly isolation: IsolationLevel;
  readonly groupId: string | undefined;
}

const CONNECTOR = 'kafka';
const TOPICS_MAX = 10_000;

export function formatSourceInfo({ topics, ...info }: KafkaSourceInfo): string {
  const named =
    topics instanceof RegExp ? { pattern: topics.source, patternFlags: topics.flags } : { topics };
  return JSON.stringify({ connector: CONNECTOR, ...named, ...info });
}

/**
 * @param text as a source gave it, of any connector
 * @returns undefined for another connector's
 * @throws MillraceError JOB_INVALID when it says it is Kafka's, and is not
 */
export function parseSourceInfo(text: string): KafkaSourceInfo | undefined {
  try {
    const reader = new JsonReader(JSON.parse(text), 'info');
    if (reader.field('connector').value !== CONNECTOR) return undefined;
    const connection = reader.field('connection').value as KafkaConnectionOptions;
    reader.field('connection').field('brokers').items(TOPICS_MAX);
    checkConnection('connection', connection);
    const { pattern } = reader.optional('pattern', (source) => source.string());
    const { groupId } = reader.optional('groupId', (group) => group.string());
    return {
      connection,
      topics:
        pattern === undefined
          ? reader
              .field('topics')
              .items(TOPICS_MAX)
              .map((topic) => topic.string())
          : new RegExp(pattern, reader.field('patternFlags').string()),
      isolation: reader.field('isolation').oneOf(['read_committed', 'read_uncommitted']),
      groupId,
    };
  } catch (error) {
    if (!(error instanceof JsonShapeError || error instanceof SyntaxError)) throw error;
    throw new MillraceError(
      'JOB_INVALID',
      `what a Kafka source says of itself can't be read (${error.message}); submit the job again`,
      { cause: error },
    );
  }
}
