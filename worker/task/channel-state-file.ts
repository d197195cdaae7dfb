/**
 * In-flight data of a checkpoint as a file: the channels of one consuming vertex, each with what its
 * barrier overtook. A header says whose they are, then come the buffers as a frame of the exchange,
 * whose channel numbers count the header's sections. Read back as untrusted input.
 */
import { MillraceError } from '../../core/errors.js';
import { JsonReader } from '../../core/json-reader.js';
import type { RecordChunk, Watermark } from '../network/buffer.js';
import { decodeFrame, encodeFrame } from '../network/frame.js';

export const CHANNEL_STATE_VERSION = 1;
const SECTIONS_MAX = 1_000_000;
const LENGTH_BYTES = 4;

/** Records are kept as chunks of their edge's codec. */
export type KeptBuffer = RecordChunk | Watermark;

export interface ChannelSection {
  /** Position of the edge among the inputs of the consuming vertex. */
  readonly input: number;
  /** Undefined for records that a change of parallelism has taken off their channel. */
  readonly fromSubtask: number | undefined;
  readonly toSubtask: number;
  /** Parallelism of producer and consumer when the checkpoint was taken. */
  readonly fromParallelism: number;
  readonly toParallelism: number;
  /** At which end the barrier overtook; what stood at the output comes behind what stood at the input. */
  readonly side: 'input' | 'output';
  /** In order. */
  readonly buffers: readonly KeptBuffer[];
}

export function encodeChannelState(sections: readonly ChannelSection[]): Uint8Array {
  const header = Buffer.from(
    JSON.stringify({
      version: CHANNEL_STATE_VERSION,
      sections: sections.map(({ buffers: _, ...section }) => section),
    }),
  );
  const numbers = sections.flatMap(({ buffers }, number) => buffers.map(() => number));
  const frame = encodeFrame(
    numbers,
    sections.flatMap(({ buffers }) => buffers),
  );
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(header.length);
  return Buffer.concat([length, header, frame]);
}

/**
 * @param origin names the file in errors
 * @throws MillraceError CHECKPOINT_CORRUPT
 */
export function decodeChannelState(bytes: Uint8Array, origin: string): ChannelSection[] {
  try {
    const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const headerEnd = LENGTH_BYTES + file.readUInt32LE(0);
    const header = file.toString('utf8', LENGTH_BYTES, headerEnd);
    const reader = new JsonReader(JSON.parse(header) as unknown, 'header');
    const version = reader.field('version').count();
    if (version !== CHANNEL_STATE_VERSION) throw new Error(`version ${version} is not ours`);
    const sections = reader.field('sections').items(SECTIONS_MAX).map(readSection);
    decodeFrame(file.subarray(headerEnd), (number, buffer) => {
      const section = sections[number];
      if (section === undefined) throw new Error(`there is no section ${number}`);
      if (buffer.kind !== 'chunk' && buffer.kind !== 'watermark') {
        throw new Error(`a ${buffer.kind} is not in-flight data`);
      }
      section.buffers.push(buffer);
    });
    return sections;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError(
      'CHECKPOINT_CORRUPT',
      `the in-flight data in ${origin} can't be read (${reason}); restore from another checkpoint`,
      { cause: error },
    );
  }
}

function readSection(reader: JsonReader): ChannelSection & { readonly buffers: KeptBuffer[] } {
  const { fromSubtask } = reader.optional('fromSubtask', (subtask) => subtask.count());
  return {
    input: reader.field('input').count(),
    fromSubtask,
    toSubtask: reader.field('toSubtask').count(),
    fromParallelism: reader.field('fromParallelism').count(),
    toParallelism: reader.field('toParallelism').count(),
    side: reader.field('side').oneOf(['input', 'output']),
    buffers: [],
  };
}
