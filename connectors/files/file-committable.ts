/** What has to be committed of an epoch: one pending file and the name under which it becomes visible. */
import { t, type Schema } from '../../api/schema.js';

export interface FileCommittable {
  /** Name in the pending folder. */
  readonly pending: string;
  /** Name in the output directory. */
  readonly final: string;
  readonly lengthBytes: number;
  /** CRC-32 of the whole file, unsigned. */
  readonly crc32: number;
}

export const fileCommittableSchema: Schema<FileCommittable> = t.record({
  pending: t.string,
  final: t.string,
  lengthBytes: t.float64,
  crc32: t.float64,
});
