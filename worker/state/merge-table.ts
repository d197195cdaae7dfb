/**
 * What several runs together say of the keys of one bucket: filled by a replay, written as one run,
 * then emptied for the next bucket, so that a merge holds no more than a bucket at a time.
 */
import { keyHash, type Key } from '../../core/key-codec.js';
import { keyGroupOf, type KeyGroupRange } from '../../core/key-group.js';
import { schemaFromJson } from '../../core/schema-json.js';
import { DeclaredState } from './declared-state.js';
import type { KeyIdentity } from './key-entry.js';
import { identityOf } from './key-table.js';
import type { TimeDomain } from './keyed-state-backend.js';
import { TIME_DOMAINS } from './memory-timers.js';
import { MergedKey, mergedState, type MergedState, type MergeRule } from './merged-state.js';
import type { ReplayTarget } from './replay-target.js';
import type { MergeRequest } from './run-services.js';
import type { RunWriter } from './run-writer.js';

/** The sequence of a timer that is gone. */
const GONE = -1;

export type MergeTableOptions = Pick<
  MergeRequest,
  'operator' | 'keyGroups' | 'maxParallelism' | 'states'
>;

export class MergeTable implements ReplayTarget {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly states: ReadonlyMap<string, DeclaredState<MergedState>>;
  /** The backend decided about those when it was restored. */
  readonly allowNonRestoredState = true;
  readonly #keys = new Map<KeyIdentity, MergedKey>();
  #current = new MergedKey('');

  constructor({ operator, keyGroups, maxParallelism, states }: MergeTableOptions) {
    this.operator = operator;
    this.keyGroups = keyGroups;
    this.maxParallelism = maxParallelism;
    const current = (): MergedKey => this.#current;
    this.states = new Map(
      states.map(({ name, kind, schema, ttlMs }, index) => [
        name,
        new DeclaredState(
          name,
          { kind, schema: schemaFromJson(schema), ttl: ttlMs !== null },
          ttlMs ?? undefined,
          mergedState(kind, { index, ttlMs, current }),
        ),
      ]),
    );
  }

  setCurrentKey(key: Key): void {
    const identity = identityOf(key);
    let known = this.#keys.get(identity);
    if (known === undefined) {
      known = new MergedKey(key);
      this.#keys.set(identity, known);
    }
    this.#current = known;
  }

  restoreTimer(domain: TimeDomain, timestamp: number, sequence: number): void {
    this.#timers(domain).set(timestamp, sequence);
  }

  restoreRemovedTimer(domain: TimeDomain, timestamp: number): void {
    this.#timers(domain).set(timestamp, GONE);
  }

  /** Everything held, which is forgotten. */
  writeTo(writer: RunWriter, rule: MergeRule): void {
    const states = [...this.states.values()].map(({ state }) => state);
    for (const merged of this.#keys.values()) {
      writer.setKey(merged.key, keyGroupOf(keyHash(merged.key), this.maxParallelism));
      states.forEach((state, index) => {
        const changes = writer.changesOf(index);
        if (changes !== undefined) state.write(merged, changes, rule);
      });
      for (const domain of TIME_DOMAINS) {
        for (const [timestamp, sequence] of merged.timers?.[domain] ?? []) {
          if (sequence !== GONE) writer.timer(domain, timestamp, sequence);
          else if (!rule.toBase) writer.removedTimer(domain, timestamp);
        }
      }
    }
    this.#keys.clear();
  }

  #timers(domain: TimeDomain): Map<number, number> {
    return (this.#current.timers ??= { eventTime: new Map(), processingTime: new Map() })[domain];
  }
}
