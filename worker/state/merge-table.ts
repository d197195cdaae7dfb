/**
 * What several runs together say of the keys of one bucket: filled by a replay, written as one run,
 * then emptied for the next pass or bucket, so that a merge holds no more than a span at a time.
 */
import type { Key } from '../../core/key-codec.js';
import { keyGroupOf, type KeyGroupRange } from '../../core/key-group.js';
import { schemaFromJson } from '../../core/schema-json.js';
import { DeclaredState } from './declared-state.js';
import type { KeyIdentity } from './key-entry.js';
import { identityOf } from './key-table.js';
import type { TimeDomain } from './keyed-state-backend.js';
import { TIME_DOMAINS } from './heap-timers.js';
import { MergedKey, mergedState, type MergedState } from './merged-state.js';
import { ReplaySpan } from './replay-span.js';
import type { ReplayTarget } from './replay-target.js';
import type { MergeRequest } from './run-services.js';
import { RunWriter, type RunWriterOptions } from './run-writer.js';

/** The sequence of a timer that is gone. */
const GONE = -1;

export type MergeTableOptions = Omit<MergeRequest, 'inputs' | 'output'> &
  Pick<RunWriterOptions, 'keys' | 'buffers' | 'whole' | 'runBytesMax' | 'onRun'> & {
    /** Of a span, estimated. */
    readonly heldBytesMax: number;
  };

export class MergeTable implements ReplayTarget {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly states: ReadonlyMap<string, DeclaredState<MergedState>>;
  /** The backend decided about those when it was restored. */
  readonly allowNonRestoredState = true;
  readonly span: ReplaySpan;
  readonly #keys = new Map<KeyIdentity, MergedKey>();
  readonly writer: RunWriter;
  readonly #toBase: boolean;
  #current = new MergedKey('', 0);

  constructor(options: MergeTableOptions) {
    const { operator, keyGroups, maxParallelism, states, toBase } = options;
    this.operator = operator;
    this.keyGroups = keyGroups;
    this.maxParallelism = maxParallelism;
    this.#toBase = toBase;
    this.span = new ReplaySpan(options.heldBytesMax);
    const shared = { rule: options, span: this.span, current: () => this.#current };
    this.states = new Map(
      states.map(({ name, kind, schema, ttlMs }, index) => [
        name,
        new DeclaredState(
          name,
          { kind, schema: schemaFromJson(schema), ttl: ttlMs !== null },
          ttlMs ?? undefined,
          mergedState(kind, { ...shared, index, ttlMs }),
        ),
      ]),
    );
    this.writer = new RunWriter({ ...options, states: [...this.states.values()] });
  }

  setCurrentKey(key: Key, hash: number): void {
    const identity = identityOf(key);
    let known = this.#keys.get(identity);
    if (known === undefined) {
      known = new MergedKey(key, hash);
      // What comes later takes nothing away from a key that nothing is held of.
      if (!this.span.isLater) this.#keys.set(identity, known);
    }
    this.#current = known;
  }

  restoreTimer(domain: TimeDomain, timestamp: number, sequence: number): void {
    if (this.span.isLater) this.#current.timers?.[domain].delete(timestamp);
    else this.#timers(domain).set(timestamp, sequence);
  }

  restoreRemovedTimer(domain: TimeDomain, timestamp: number): void {
    this.restoreTimer(domain, timestamp, GONE);
  }

  /** Writes all that it still holds, which is forgotten. */
  write(): void {
    const { writer } = this;
    const states = [...this.states.values()].map(({ state }) => state);
    for (const merged of this.#keys.values()) {
      writer.setKey(merged.key, keyGroupOf(merged.hash, this.maxParallelism));
      states.forEach((state, index) => {
        const changes = writer.changesOf(index);
        if (changes !== undefined) state.write(merged, changes);
      });
      for (const domain of TIME_DOMAINS) {
        for (const [timestamp, sequence] of merged.timers?.[domain] ?? []) {
          if (sequence !== GONE) writer.timer(domain, timestamp, sequence);
          else if (!this.#toBase) writer.removedTimer(domain, timestamp);
        }
      }
    }
    this.#keys.clear();
  }

  #timers(domain: TimeDomain): Map<number, number> {
    return (this.#current.timers ??= { eventTime: new Map(), processingTime: new Map() })[domain];
  }
}
