/**
 * The writer of a file sink's subtask: records -> lines -> blocks -> pending files, cut into epochs
 * by barriers. It must never touch a final name: that is the committer's.
 */
import { basename, join } from 'node:path';
import type { SinkWriter } from '../../api/sink.js';
import type { FileCommittable } from './file-committable.js';
import type { LineEncoder } from './file-format.js';
import { syncDirectory } from './output-error.js';
import type { OutputOwner } from './output-owner.js';
import { finalName, pendingFolder, pendingName, type PendingOwner } from './part-name.js';
import { PendingFile } from './pending-file.js';
import { WriteBacklog } from './write-backlog.js';

export interface FileWriterOptions<T> {
  readonly directory: string;
  readonly prefix: string;
  readonly extension: string;
  readonly encoder: LineEncoder<T>;
  readonly rollBytes: number;
  readonly self: PendingOwner;
  readonly owner: OutputOwner;
}

/** Characters gathered before they become one write. */
const BLOCK_LENGTH = 65_536;
/** Bytes that may wait for the disk before the writer asks for a pause. */
const BACKLOG_BYTES_MAX = 1024 * 1024;

export class FileWriter<T> implements SinkWriter<T, FileCommittable> {
  readonly #options: FileWriterOptions<T>;
  readonly #backlog = new WriteBacklog(BACKLOG_BYTES_MAX);
  readonly #blockLength: number;
  /** The files of the running epoch, the one that is written last. */
  #files: PendingFile[] = [];
  #isOpen = false;
  #text = '';
  #sequence = 0;
  #claimed: Promise<number> | undefined;

  constructor(options: FileWriterOptions<T>) {
    this.#options = options;
    this.#blockLength = Math.min(BLOCK_LENGTH, options.rollBytes);
  }

  write(record: T): void {
    this.#text += this.#options.encoder.encode(record);
    if (this.#text.length >= this.#blockLength) this.#flush();
  }

  whenWritable(): Promise<void> | undefined {
    return this.#backlog.whenWritable();
  }

  async prepareCommit(checkpointId: number): Promise<readonly FileCommittable[]> {
    this.#flush();
    const files = this.#files;
    this.#files = [];
    this.#isOpen = false;
    if (files.length === 0) return [];
    const finished = await Promise.all(files.map((file) => file.finish()));
    const { directory, prefix, extension, self, owner } = this.#options;
    // Another job may have restored from a checkpoint of this one in the meantime.
    const generation = await owner.check();
    await syncDirectory(pendingFolder(directory));
    const { operator, subtask } = self;
    return finished.map((file, index) => ({
      pending: basename(file.path),
      final: finalName({ prefix, operator, subtask, checkpointId, index, generation, extension }),
      lengthBytes: file.lengthBytes,
      crc32: file.crc32,
    }));
  }

  /** What was not prepared will never be committed, so it is removed. */
  async close(): Promise<void> {
    await Promise.all(this.#files.splice(0).map((file) => file.discard()));
  }

  #flush(): void {
    this.#backlog.check();
    if (this.#text === '') return;
    const file = this.#openFile();
    file.append(Buffer.from(this.#text));
    this.#text = '';
    if (file.lengthBytes < this.#options.rollBytes) return;
    this.#isOpen = false;
    // Its failure is kept in the backlog, and met again when the epoch is prepared.
    file.finish().catch(() => undefined);
  }

  #openFile(): PendingFile {
    const last = this.#files.at(-1);
    if (this.#isOpen && last !== undefined) return last;
    const { directory, self, owner, encoder } = this.#options;
    this.#claimed ??= owner.claim();
    const name = pendingName(self, this.#sequence++);
    const path = join(pendingFolder(directory), name);
    const file = new PendingFile(path, this.#claimed, this.#backlog);
    if (encoder.header !== '') file.append(Buffer.from(encoder.header));
    this.#files.push(file);
    this.#isOpen = true;
    return file;
  }
}
