/**
 * A watch on etcd that survives lost streams, frozen members and compaction. It keeps its own place:
 * each stream starts at the revision after the last event that was delivered, and after a compaction
 * the prefix is listed again and the difference delivered. Must never skip a change or deliver one
 * twice; after a compaction, changes to one key since the last event arrive as its latest.
 */
import type { IEvent, IWatchResponse } from 'etcd3';
import type { EtcdConnection } from './etcd-connection.js';
import type { EtcdKeyspace } from './etcd-keyspace.js';
import type { MetaEntry, MetaEvent, MetaListener } from './meta-store.js';

const RECONNECT_PAUSE_MS = 250;

type StreamEnd = 'served' | 'failed' | 'compacted' | 'closed';

export class EtcdWatch {
  readonly #connection: EtcdConnection;
  readonly #keyspace: EtcdKeyspace;
  readonly #prefix: string;
  readonly #listener: MetaListener;
  /** Keys that the listener knows of, with their revisions: what a new listing is compared with. */
  readonly #known = new Map<string, number>();
  #snapshot: readonly MetaEntry[] = [];
  #nextRevision = 0;
  #closed = false;
  #cancel: () => void = () => undefined;

  private constructor(
    connection: EtcdConnection,
    keyspace: EtcdKeyspace,
    prefix: string,
    listener: MetaListener,
  ) {
    this.#connection = connection;
    this.#keyspace = keyspace;
    this.#prefix = prefix;
    this.#listener = listener;
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE if the first listing fails; later it keeps trying */
  static async start(
    connection: EtcdConnection,
    keyspace: EtcdKeyspace,
    prefix: string,
    listener: MetaListener,
  ): Promise<EtcdWatch> {
    const watch = new EtcdWatch(connection, keyspace, prefix, listener);
    const { entries, revision } = await watch.#list();
    watch.#snapshot = entries;
    for (const entry of entries) watch.#known.set(entry.key, entry.revision);
    watch.#nextRevision = revision + 1;
    void watch.#follow();
    return watch;
  }

  get snapshot(): readonly MetaEntry[] {
    return this.#snapshot;
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async #follow(): Promise<void> {
    while (!this.#closed) {
      const end = await this.#readStream();
      if (end === 'failed' || (end === 'compacted' && !(await this.#catchUp()))) {
        await this.#pause();
      }
    }
  }

  /** Reads one stream to its end, whatever ends it. */
  async #readStream(): Promise<StreamEnd> {
    const { client } = this.#connection;
    const stream = await client.watchClient.watch().catch(() => undefined);
    if (stream === undefined) return this.#closed ? 'closed' : 'failed';
    return new Promise<StreamEnd>((resolve) => {
      let end: StreamEnd = 'failed';
      const finish = (): void => {
        stream.cancel();
        resolve(this.#closed ? 'closed' : end);
      };
      this.#cancel = finish;
      stream
        .on('data', (response) => {
          end = this.#take(response);
          if (end !== 'served') finish();
        })
        .on('error', finish)
        .on('end', finish);
      if (this.#closed) {
        finish();
        return;
      }
      const range = this.#keyspace.range(this.#prefix);
      stream.write({ create_request: { ...range, start_revision: this.#nextRevision } });
    });
  }

  #take(response: IWatchResponse): StreamEnd {
    if (response.canceled) return Number(response.compact_revision) > 0 ? 'compacted' : 'failed';
    for (const event of response.events) {
      const decoded = this.#decode(event);
      if (decoded !== undefined) this.#deliver(decoded);
    }
    return 'served';
  }

  #decode({ type, kv }: IEvent): MetaEvent | undefined {
    if (type === 'Delete') {
      return {
        type: 'delete',
        key: this.#keyspace.keyOf(kv.key),
        revision: Number(kv.mod_revision),
      };
    }
    try {
      return { type: 'put', entry: this.#keyspace.decode(kv).entry };
    } catch {
      // Put there by someone else, past Millrace: whoever reads the key is told so.
      return undefined;
    }
  }

  #deliver(event: MetaEvent): void {
    if (this.#closed) return;
    if (event.type === 'put') {
      this.#known.set(event.entry.key, event.entry.revision);
      this.#nextRevision = event.entry.revision + 1;
    } else {
      this.#known.delete(event.key);
      this.#nextRevision = event.revision + 1;
    }
    this.#listener(event);
  }

  /** After a compaction: delivers how the prefix differs from what the listener knows. */
  async #catchUp(): Promise<boolean> {
    const listing = await this.#list().catch(() => undefined);
    if (listing === undefined) return false;
    const { entries, revision } = listing;
    const present = new Set(entries.map((entry) => entry.key));
    for (const key of [...this.#known.keys()]) {
      if (!present.has(key)) this.#deliver({ type: 'delete', key, revision });
    }
    const changed = entries.filter((entry) => this.#known.get(entry.key) !== entry.revision);
    changed.sort((left, right) => left.revision - right.revision);
    for (const entry of changed) this.#deliver({ type: 'put', entry });
    this.#nextRevision = revision + 1;
    return true;
  }

  async #list(): Promise<{ entries: readonly MetaEntry[]; revision: number }> {
    return this.#connection.retry(`list ${this.#prefix}`, async () => {
      const response = await this.#connection.client.kv.range(this.#keyspace.range(this.#prefix));
      return {
        entries: response.kvs.map((stored) => this.#keyspace.decode(stored).entry),
        revision: Number(response.header.revision),
      };
    });
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = this.#connection.clock.setTimer(RECONNECT_PAUSE_MS, resolve);
      this.#cancel = () => {
        cancelTimer();
        resolve();
      };
    });
  }
}
