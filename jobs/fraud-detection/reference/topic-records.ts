/** Reads what a reader of Kafka's own printed of topics: a line for each record, values in base64. */
import { MillraceError } from 'millrace';
import { readLines } from './line-reader.js';

export interface TopicRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly value: string;
}

/** `TOPIC \t PARTITION \t OFFSET \t TIMESTAMP \t KEY \t VALUE`; `-` is null. */
const LINE = /^([^\t]+)\t(\d+)\t(\d+)\t\d+\t[^\t]+\t([^\t]+)/;

/**
 * @param onRecord gets records of one partition in the order of their offsets
 * @throws MillraceError INPUT_INVALID naming the place of a line that is none
 */
export async function readTopicRecords(
  path: string,
  onRecord: (record: TopicRecord) => void,
): Promise<void> {
  await readLines(path, (line, position) => {
    const [, topic, partition, offset, value] = LINE.exec(line) ?? [];
    if (topic === undefined || value === undefined) {
      throw new MillraceError(
        'INPUT_INVALID',
        `${path} has no record of a topic at byte ${position}; read the topics again`,
      );
    }
    onRecord({
      topic,
      partition: Number(partition),
      offset: Number(offset),
      value: value === '-' ? '' : Buffer.from(value, 'base64').toString(),
    });
  });
}
