/**
 * The committer of a file sink's subtask: gives pending files their final names once the checkpoint
 * that holds them is complete. Committing twice is committing once; a file that is nowhere is an
 * error, never a silent loss; an existing file is never written over.
 */
import { createReadStream } from 'node:fs';
import { readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Committer, SinkContext } from '../../api/sink.js';
import { MillraceError } from '../../core/errors.js';
import type { FileCommittable } from './file-committable.js';
import { errorCode } from './input-error.js';
import { tryOutput, outputError, syncDirectory } from './output-error.js';
import type { OutputOwner } from './output-owner.js';
import { parsePendingName, pendingFolder, type PendingOwner } from './part-name.js';

export class FileCommitter implements Committer<FileCommittable> {
  readonly #directory: string;
  readonly #self: PendingOwner;
  readonly #owner: OutputOwner;
  readonly #parallelism: number;
  readonly #restoredJobId: string | undefined;

  constructor(
    directory: string,
    self: PendingOwner,
    owner: OutputOwner,
    context: Pick<SinkContext, 'parallelism' | 'restoredJobId'>,
  ) {
    this.#directory = directory;
    this.#self = self;
    this.#owner = owner;
    this.#parallelism = context.parallelism;
    this.#restoredJobId = context.restoredJobId;
  }

  async commit(committables: readonly FileCommittable[]): Promise<void> {
    if (committables.length === 0) return;
    for (const committable of committables) await this.#commit(committable);
    // Also when all were there already: an earlier rename may not be durable yet.
    await syncDirectory(this.#directory);
    await syncDirectory(pendingFolder(this.#directory));
  }

  async recover(pending: readonly FileCommittable[]): Promise<void> {
    await this.#owner.takeOver(this.#restoredJobId);
    const jobs = await this.#owner.jobs();
    const kept = new Set(pending.map((committable) => committable.pending));
    const folder = pendingFolder(this.#directory);
    for (const name of await listFolder(folder)) {
      if (kept.has(name) || !this.#isLeftOver(name, jobs)) continue;
      await removeIfThere(join(folder, name));
    }
  }

  async discard(orphans: readonly FileCommittable[]): Promise<void> {
    const folder = pendingFolder(this.#directory);
    for (const { pending } of orphans) await removeIfThere(join(folder, pending));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #commit(committable: FileCommittable): Promise<void> {
    const pending = join(pendingFolder(this.#directory), committable.pending);
    const final = join(this.#directory, committable.final);
    const [pendingBytes, finalBytes] = [await sizeOf(pending), await sizeOf(final)];
    if (pendingBytes === undefined) {
      if (finalBytes === undefined) {
        throw failure(
          `neither ${pending} nor ${final} is there, so committed output is lost`,
          'bring either file back, or restore from an older checkpoint',
        );
      }
      if (finalBytes === committable.lengthBytes && (await crcOf(final)) === committable.crc32) {
        return;
      }
      throw failure(
        `${final} is not what was written to ${pending}`,
        'bring the file back as it was, or restore from an older checkpoint',
      );
    }
    if (pendingBytes !== committable.lengthBytes) {
      const lengths = `${String(pendingBytes)} of ${String(committable.lengthBytes)} bytes`;
      throw failure(`${pending} has ${lengths}`, 'restore from an older checkpoint');
    }
    if (finalBytes !== undefined) {
      throw failure(
        `${final} is there already and would be written over by ${pending}`,
        'move it away',
      );
    }
    await tryOutput('rename', final, () => rename(pending, final));
  }

  /**
   * Left by an earlier attempt of this subtask, of one beyond today's parallelism that falls to it, or
   * by a job that owned the directory before.
   */
  #isLeftOver(name: string, jobs: readonly string[]): boolean {
    const owner = parsePendingName(name);
    const { jobId, operator, subtask, attempt: current } = this.#self;
    if (owner?.operator !== operator) return false;
    if (owner.subtask % this.#parallelism !== subtask) return false;
    return owner.jobId === jobId ? owner.attempt < current : jobs.includes(owner.jobId);
  }
}

/** Another attempt may tidy up at the same time. */
async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw outputError('remove', path, error);
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw outputError('look at', path, error);
  }
}

async function crcOf(path: string): Promise<number> {
  return tryOutput('read', path, async () => {
    let crc = 0;
    for await (const chunk of createReadStream(path)) crc = crc32(chunk as Buffer, crc);
    return crc;
  });
}

async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw outputError('list', folder, error);
  }
}

function failure(what: string, remedy: string): MillraceError {
  return new MillraceError('OUTPUT_FAILED', `${what}; ${remedy}`);
}
