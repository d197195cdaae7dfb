/** Requests of an administrator, as far as a sink needs them: making its own topic, and asking how topics are set. */
import type { KafkaRequest } from './kafka-request.js';

export interface NewTopic {
  readonly topic: string;
  /** -1: as the cluster has it by default. */
  readonly partitions: number;
  /** -1: as the cluster has it by default. */
  readonly replicationFactor: number;
  /** Such as `cleanup.policy`. */
  readonly config: Readonly<Record<string, string>>;
}

interface Named {
  readonly topic: string;
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

export interface TopicConfig extends Named {
  readonly config: Readonly<Record<string, string | null>>;
}

const TOPIC_RESOURCE = 2;

/** To the controller. */
export function createTopicsRequest(
  topics: readonly NewTopic[],
  timeoutMs: number,
): KafkaRequest<readonly Named[]> {
  return {
    apiKey: 19,
    apiName: 'CreateTopics',
    apiVersion: 4,
    flexible: false,
    timeoutMs,
    write: (writer) => {
      writer.array(topics, ({ topic, partitions, replicationFactor, config }) => {
        writer.string(topic).int32(partitions).int16(replicationFactor);
        writer.array([], () => undefined);
        writer.array(Object.entries(config), ([name, value]) => writer.string(name).string(value));
      });
      writer.int32(timeoutMs).boolean(false);
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      return reader.array(() => ({
        topic: reader.string(),
        errorCode: reader.int16(),
        errorMessage: reader.nullableString(),
      }));
    },
  };
}

/** @param names of the settings */
export function describeConfigsRequest(
  topics: readonly string[],
  names: readonly string[],
): KafkaRequest<readonly TopicConfig[]> {
  return {
    apiKey: 32,
    apiName: 'DescribeConfigs',
    apiVersion: 2,
    flexible: false,
    write: (writer) => {
      writer.array(topics, (topic) => {
        writer.int8(TOPIC_RESOURCE).string(topic);
        writer.array(names, (name) => writer.string(name));
      });
      writer.boolean(false);
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      return reader.array((): TopicConfig => {
        const errorCode = reader.int16();
        const errorMessage = reader.nullableString();
        reader.int8();
        const topic = reader.string();
        const entries = reader.array(() => {
          const entry = [reader.string(), reader.nullableString()] as const;
          reader.boolean();
          reader.int8();
          reader.boolean();
          reader.array(() => {
            reader.string();
            reader.nullableString();
            reader.int8();
          });
          return entry;
        });
        return { topic, errorCode, errorMessage, config: Object.fromEntries(entries) };
      });
    },
  };
}
