/**
 * The oracle: reads what the meta store says is retained and holds the blob store against it. Every
 * retained checkpoint and every listed savepoint must be whole after each single change, and when
 * nothing is under way there must be no file that none of them names. It knows the stored form only,
 * none of the code that counts references.
 */
import { parseManifest } from '../../core/checkpoint-manifest.js';
import { TERMINAL_STATUSES, type JobStatus } from '../../api/rest/job-dto.js';
import type { StateFile } from '../../core/state-file.js';
import type { BlobHandle } from '../../storage/blob-store.js';
import type { DurableStores, StoreOracle } from './durable-stores.js';

const POINTERS = 'completed-checkpoints/';
const SAVEPOINTS = 'savepoints/';

/** An entry of a job's pointer, or a savepoint's record. */
interface Snapshot {
  readonly checkpointId: number;
  readonly savepointId?: string;
  readonly claimed?: boolean;
  readonly manifest: BlobHandle;
}

interface Retained {
  /** The key in the meta store, and the id of the checkpoint. */
  readonly name: string;
  /** As `--from-savepoint` takes it. */
  readonly reference: string;
  readonly manifest: BlobHandle;
}

export class SnapshotOracle implements StoreOracle {
  readonly problems: string[] = [];
  /** Files that were once named by two retained checkpoints at the same time. */
  shared = 0;
  deleted = 0;
  completed = 0;
  #stores: DurableStores | undefined;
  #protected: ReadonlyMap<string, string> = new Map();
  /** Manifests that have been read, by their checksum: their bytes are verified every time. */
  readonly #manifests = new Map<string, readonly StateFile[]>();

  watch(stores: DurableStores): void {
    this.#stores = stores;
  }

  metaChanged(keys: readonly string[]): void {
    if (!keys.some((key) => key.startsWith(POINTERS) || key.startsWith(SAVEPOINTS))) return;
    const before = this.#protected;
    this.#look(before);
    for (const key of this.#protected.keys()) {
      if (key.endsWith('/manifest.json') && !before.has(key)) this.completed++;
    }
  }

  blobDeleted(key: string): void {
    this.deleted++;
    const owner = this.#protected.get(key);
    if (owner !== undefined) this.problems.push(`${key} was deleted, but ${owner} names it`);
  }

  /** Every retained checkpoint and savepoint, file by file. */
  check(): void {
    this.#look(new Map());
  }

  /** @param seen files that need not be read again: a deletion would have been noticed */
  #look(seen: ReadonlyMap<string, string>): void {
    const named = new Map<string, string>();
    let shared = 0;
    for (const { name, manifest } of this.retained()) {
      for (const file of this.#filesOf(name, manifest, seen)) {
        if (named.has(file)) shared++;
        named.set(file, name);
      }
    }
    this.shared = Math.max(this.shared, shared);
    this.#protected = named;
  }

  /** Files under the checkpoints' and savepoints' prefixes that nothing retained names. */
  orphans(): readonly string[] {
    this.check();
    return [...this.#blobs().keys()].filter((key) => !this.#protected.has(key)).sort();
  }

  /** Ids of the savepoints that are listed. */
  savepoints(): readonly string[] {
    return this.#durable()
      .meta.list(SAVEPOINTS)
      .map(({ key }) => key.slice(SAVEPOINTS.length));
  }

  retained(): readonly Retained[] {
    const { meta } = this.#durable();
    const savepoints = meta.list(SAVEPOINTS).map(({ key, value }): Retained => {
      const { manifest } = JSON.parse(value) as Snapshot;
      return { name: key, reference: key.slice(SAVEPOINTS.length), manifest };
    });
    const checkpoints = meta.list(POINTERS).flatMap(({ key, value }): readonly Retained[] => {
      const pointer = JSON.parse(value) as readonly Snapshot[] | { readonly claimedBy: string };
      const jobId = key.slice(POINTERS.length);
      const entries = 'claimedBy' in pointer ? [] : pointer;
      return entries.flatMap(({ checkpointId, savepointId, claimed, manifest }) => {
        // The savepoints of a job that has ended are their user's alone.
        const isUsers = savepointId !== undefined && claimed !== true && this.#hasEnded(jobId);
        const reference = `${jobId}/${checkpointId}`;
        return isUsers ? [] : [{ name: `${key}#${checkpointId}`, reference, manifest }];
      });
    });
    return [...savepoints, ...checkpoints];
  }

  #hasEnded(jobId: string): boolean {
    const record = this.#durable().meta.get(`job-records/${jobId}`);
    if (record === undefined) return true;
    const { status } = JSON.parse(record.value) as { readonly status: JobStatus };
    return TERMINAL_STATUSES.has(status);
  }

  #filesOf(
    name: string,
    manifest: BlobHandle,
    seen: ReadonlyMap<string, string>,
  ): readonly string[] {
    let files = this.#manifests.get(manifest.sha256);
    if (files === undefined || !seen.has(manifest.key)) {
      const text = this.#durable().verify(manifest.key, manifest);
      if (typeof text === 'string') {
        this.problems.push(`${name} can't be restored: ${text}`);
        return [manifest.key];
      }
      files ??= filesIn(text, manifest.key);
      this.#manifests.set(manifest.sha256, files);
    }
    for (const file of files) {
      const found = seen.has(file.key) ? undefined : this.#durable().verify(file.key, file);
      if (typeof found === 'string') this.problems.push(`${name} can't be restored: ${found}`);
    }
    return [manifest.key, ...new Set(files.map(({ key }) => key))];
  }

  #blobs(): ReadonlyMap<string, Uint8Array> {
    return this.#durable().blobs;
  }

  #durable(): DurableStores {
    if (this.#stores === undefined) throw new Error('the oracle watches nothing');
    return this.#stores;
  }
}

function filesIn(text: Uint8Array, key: string): readonly StateFile[] {
  const { vertices } = parseManifest(Buffer.from(text).toString(), key);
  return vertices.flatMap(({ tasks }) => tasks.flatMap((task) => task.files));
}
