/**
 * What a slot keeps of its checkpoints on this machine: links to runs, in a folder of the job that
 * outlives the slot, found by blob key and believed only when length and checksum are the manifest's.
 * Having none is never an error: the blob store holds every file.
 */
import { createHash } from 'node:crypto';
import { link, mkdir, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { StateFile } from '../core/state-file.js';
import { BlobDigest, type BlobExpectation } from '../storage/blob-store.js';
import type { FileRunStorage } from './file-run-storage.js';
import type { LocalRecovery } from './task/task-environment.js';

const PIECE_BYTES = 512 * 1024;
const SUFFIX = '.run';

/** Names a copy: the checkpoint that its file was written for or fetched for, and the file. */
export function copyName(checkpointId: number, key: string): string {
  return `${checkpointId}-${createHash('sha256').update(key).digest('hex')}${SUFFIX}`;
}

/** The checkpoint in a copy's name. */
export function checkpointOf(name: string): number {
  return Number.parseInt(name, 10);
}

/** What names of copies of the same file share. */
export function fileOf(name: string): string {
  return name.slice(name.indexOf('-') + 1);
}

export class LocalRunCopies implements LocalRecovery {
  readonly #runs: FileRunStorage;
  readonly #folder: string;
  #listed: Promise<ReadonlyMap<string, string>> | undefined;

  /** @param folder of the job; made when it is needed */
  constructor(runs: FileRunStorage, folder: string) {
    this.#runs = runs;
    this.#folder = folder;
  }

  async keep(run: string, { key }: StateFile, checkpointId: number): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
      await link(this.#runs.pathOf(run), path.join(this.#folder, copyName(checkpointId, key)));
    } catch {
      // There already, or a file system without links, or no space: it is fetched when it is needed.
    }
  }

  async take(file: StateFile, run: string): Promise<boolean> {
    this.#listed ??= this.#list();
    const name = (await this.#listed).get(fileOf(copyName(0, file.key)));
    if (name === undefined) return false;
    const copy = path.join(this.#folder, name);
    const own = this.#runs.pathOf(run);
    try {
      await link(copy, own);
      const { lengthBytes, sha256 } = await digestOf(own);
      if (lengthBytes === file.lengthBytes && sha256 === file.sha256) return true;
    } catch {
      // Removed in the meantime, or unreadable: the same as a copy that is damaged.
    }
    await Promise.allSettled([rm(own, { force: true }), rm(copy, { force: true })]);
    return false;
  }

  async #list(): Promise<ReadonlyMap<string, string>> {
    const names = await readdir(this.#folder).catch((): string[] => []);
    return new Map(names.map((name) => [fileOf(name), name]));
  }
}

async function digestOf(file: string): Promise<BlobExpectation> {
  const digest = new BlobDigest();
  const opened = await open(file, 'r');
  try {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await opened.read(piece, 0, piece.length);
      if (bytesRead === 0) return digest.finish();
      digest.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await opened.close();
  }
}
