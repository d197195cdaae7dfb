/**
 * How entries lie in etcd: every key under one prefix, every value behind the id of the write that
 * put it there. That id is how a writer whose answer was lost recognises its own write. Pure.
 */
import type { ICompare, IKeyValue, IRequestOp } from 'etcd3';
import { MillraceError } from '../core/errors.js';
import type { MetaEntry, MetaGuard, MetaWrite } from './meta-store.js';

/** An entry and the id of the write that made it so. */
export interface StoredEntry {
  readonly entry: MetaEntry;
  readonly writeId: string;
}

export class EtcdKeyspace {
  readonly #prefix: string;

  /** @param prefix not empty, such as `/millrace/` */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  key(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }

  /** The range of all keys that begin with `prefix`. */
  range(prefix: string): { readonly key: Buffer; readonly range_end: Buffer } {
    const key = this.key(prefix);
    const end = Buffer.from(key);
    // The prefix is text: its last byte is never 255, so the next byte string is one step away.
    end[end.length - 1] = (end.at(-1) ?? 0) + 1;
    return { key, range_end: end };
  }

  /** The caller's key of a key in etcd. */
  keyOf(stored: Buffer): string {
    return stored.toString().slice(this.#prefix.length);
  }

  compare(guard: MetaGuard): ICompare {
    const key = this.key(guard.key);
    if ('revision' in guard) {
      return { key, result: 'Equal', target: 'Mod', mod_revision: guard.revision };
    }
    const revision = 'absent' in guard ? 0 : guard.createRevision;
    return { key, result: 'Equal', target: 'Create', create_revision: revision };
  }

  operation(write: MetaWrite, writeId: string, leaseId: string): IRequestOp {
    const key = this.key(write.key);
    if (write.type === 'delete') return { request_delete_range: { key } };
    const value = Buffer.from(`${writeId}\n${write.value}`);
    return { request_put: { key, value, lease: leaseId } };
  }

  /** @throws MillraceError STORAGE_CORRUPT if the value isn't one that this store wrote */
  decode(stored: IKeyValue): StoredEntry {
    const text = stored.value.toString();
    const end = text.indexOf('\n');
    if (end < 0) {
      throw new MillraceError(
        'STORAGE_CORRUPT',
        `the etcd key ${stored.key.toString()} was not written by Millrace; ` +
          `delete it, or give this cluster a prefix of its own`,
      );
    }
    return {
      writeId: text.slice(0, end),
      entry: {
        key: this.keyOf(stored.key),
        value: text.slice(end + 1),
        revision: Number(stored.mod_revision),
        createRevision: Number(stored.create_revision),
      },
    };
  }
}
