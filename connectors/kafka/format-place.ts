/** Tells formats in which topic and part of a record they are, and asks them whether that can be right. */
import { isMillraceError } from '../../core/errors.js';
import type { EncodingFormat, FormatContext } from '../formats/format.js';

type Part = NonNullable<FormatContext['part']>;

export interface RecordFormats {
  readonly key: EncodingFormat<unknown> | undefined;
  readonly value: EncodingFormat<unknown>;
}

export function formatContext(topic: string, part: Part): FormatContext {
  return { subject: `topic "${topic}" ${part}`, topic, part };
}

/**
 * Whether records of these topics can be read, or written, as far as a schema registry can tell.
 * @throws MillraceError as `Format.check`
 */
export async function checkFormats(
  { key, value }: RecordFormats,
  topics: readonly string[],
  use: 'read' | 'write',
): Promise<void> {
  for (const topic of topics) {
    await check(key, formatContext(topic, 'key'), use);
    await check(value, formatContext(topic, 'value'), use);
  }
}

async function check(
  format: EncodingFormat<unknown> | undefined,
  context: FormatContext,
  use: 'read' | 'write',
): Promise<void> {
  try {
    await format?.check?.(context, use);
  } catch (error) {
    // The registry's secrets are kept where the workers run, and need not be here.
    if (!isMillraceError(error) || error.code !== 'PARAM_INVALID') throw error;
  }
}
