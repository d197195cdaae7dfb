/**
 * Up to where the windows of each key had fired in the restored checkpoint. Subtasks whose barriers
 * overtook were not all at the same time, so after a change of parallelism one subtask may hold keys
 * of several times. It only answers; whoever asks drops it once its own time is beyond them all.
 */
import { keyHash, type Key } from '../../core/key-codec.js';
import { keyGroupOf, type KeyGroupRange } from '../../core/key-group.js';

export interface RestoredWatermark {
  readonly keyGroups: KeyGroupRange;
  readonly watermark: number;
}

export class RestoredWatermarks {
  /** Of all keys; -Infinity when nothing is known. */
  readonly least: number;
  readonly greatest: number;
  readonly #restored: readonly RestoredWatermark[];
  readonly #maxParallelism: number;

  constructor(restored: readonly RestoredWatermark[], maxParallelism: number) {
    this.#restored = restored;
    this.#maxParallelism = maxParallelism;
    const watermarks = restored.map(({ watermark }) => watermark);
    this.least = watermarks.length === 0 ? -Infinity : Math.min(...watermarks);
    this.greatest = Math.max(-Infinity, ...watermarks);
  }

  of(key: Key): number {
    const keyGroup = keyGroupOf(keyHash(key), this.#maxParallelism);
    for (const { keyGroups, watermark } of this.#restored) {
      if (keyGroup >= keyGroups.start && keyGroup < keyGroups.end) return watermark;
    }
    return this.least;
  }
}
