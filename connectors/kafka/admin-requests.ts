/** Requests of an administrator, as far as a sink needs them: making its own topic, and asking how topics and brokers are set. */
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

interface Answered {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

/** Settings by their names. */
export type Config = Readonly<Record<string, string | null>>;

/** Of a topic. */
export interface TopicConfig {
  readonly topic: string;
  readonly config: Config;
}

export interface DescribedConfig extends Answered {
  /** Of the topic, or the node's id. */
  readonly name: string;
  readonly config: Config;
}

const TOPIC_RESOURCE = 2;
const BROKER_RESOURCE = 4;

/** To the controller. */
export function createTopicsRequest(
  topics: readonly NewTopic[],
  timeoutMs: number,
): KafkaRequest<readonly (Answered & { readonly topic: string })[]> {
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
export function describeTopicsRequest(
  topics: readonly string[],
  names: readonly string[],
): KafkaRequest<readonly DescribedConfig[]> {
  return describeConfigsRequest(TOPIC_RESOURCE, topics, names);
}

/** To that broker itself. @param names of the settings */
export function describeBrokerRequest(
  nodeId: number,
  names: readonly string[],
): KafkaRequest<readonly DescribedConfig[]> {
  return describeConfigsRequest(BROKER_RESOURCE, [String(nodeId)], names);
}

function describeConfigsRequest(
  resource: number,
  described: readonly string[],
  names: readonly string[],
): KafkaRequest<readonly DescribedConfig[]> {
  return {
    apiKey: 32,
    apiName: 'DescribeConfigs',
    apiVersion: 2,
    flexible: false,
    write: (writer) => {
      writer.array(described, (name) => {
        writer.int8(resource).string(name);
        writer.array(names, (setting) => writer.string(setting));
      });
      writer.boolean(false);
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      return reader.array((): DescribedConfig => {
        const errorCode = reader.int16();
        const errorMessage = reader.nullableString();
        reader.int8();
        const name = reader.string();
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
        return { name, errorCode, errorMessage, config: Object.fromEntries(entries) };
      });
    },
  };
}
