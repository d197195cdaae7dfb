/**
 * Tells a group of the positions of completed checkpoints, for those who watch the group. The positions
 * that count are the checkpoint's: a commit that fails is only told of, and the next one makes up for it.
 */
import type { KafkaClient } from './kafka-client.js';
import type { PartitionOffset } from './offset-requests.js';

/** Checkpoints that were begun and neither completed nor outdated by another. */
const PENDING_MAX = 64;

export class GroupCommitter {
  readonly #client: KafkaClient;
  readonly #group: string;
  /** Positions by checkpoint, in the order they were begun. */
  readonly #pending = new Map<number, readonly PartitionOffset[]>();
  #next: readonly PartitionOffset[] | undefined;
  #committing = false;
  #failing = false;

  constructor(client: KafkaClient, group: string) {
    this.#client = client;
    this.#group = group;
  }

  begin(checkpointId: number, offsets: readonly PartitionOffset[]): void {
    this.#pending.set(checkpointId, offsets);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > PENDING_MAX && oldest !== undefined) this.#pending.delete(oldest);
  }

  complete(checkpointId: number): void {
    const offsets = this.#pending.get(checkpointId);
    for (const id of this.#pending.keys()) if (id <= checkpointId) this.#pending.delete(id);
    if (offsets === undefined || offsets.length === 0) return;
    this.#next = offsets;
    if (!this.#committing) void this.#commit();
  }

  async #commit(): Promise<void> {
    this.#committing = true;
    while (this.#next !== undefined) {
      const offsets = this.#next;
      this.#next = undefined;
      try {
        await this.#client.offsetCommit(this.#group, offsets);
        this.#failing = false;
      } catch (error) {
        // Once, not with every checkpoint.
        if (!this.#failing) process.emitWarning(`offsets are not committed: ${String(error)}`);
        this.#failing = true;
      }
    }
    this.#committing = false;
  }
}
