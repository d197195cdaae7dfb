/**
 * Replays runs in their order, bucket by bucket, into whoever wants the state that they make: a
 * backend that is restored, or a merge. The runs may have been written at any parallelism. Values
 * are decoded with the schema in the file and migrated to the declared one. Everything read is
 * checked, and whatever does not fit is refused by the name of the state.
 */
import { decodeKey, keyHash, type Key } from '../../core/key-codec.js';
import { keyGroupOf, type KeyGroupRange } from '../../core/key-group.js';
import type { RecordCodec } from '../../core/record-codec.js';
import { decoding } from './decode-rows.js';
import { bucketOf, bucketsOf, contains, intersect } from './key-group-buckets.js';
import type { TimeDomain } from './keyed-state-backend.js';
import { RangeTombstones } from './range-tombstones.js';
import { notRestorable, type ReplayedRun, type ReplayTarget } from './replay-target.js';
import { corruptRun, type ChunkEntry, type RunFile } from './run-file.js';
import { ROW_CODECS, type StateRow, type TimerRow } from './run-rows.js';
import { byBucket, planSections, type ChunksByBucket, type SectionPlan } from './section-plan.js';

interface RunPlan extends ReplayedRun {
  readonly index: number;
  readonly sections: readonly SectionPlan[];
  readonly timers: { readonly removed: ChunksByBucket; readonly rows: ChunksByBucket };
}

export class RunReplay {
  readonly #target: ReplayTarget;
  readonly #runs: readonly RunPlan[];
  readonly #tombstones: RangeTombstones;

  /**
   * @param runs oldest first
   * @throws MillraceError CHECKPOINT_CORRUPT or STATE_NOT_RESTORABLE naming the state
   */
  constructor(runs: readonly ReplayedRun[], target: ReplayTarget) {
    this.#target = target;
    for (const { file } of runs) checkMaxParallelism(file, target);
    this.#tombstones = new RangeTombstones(runs);
    const sections = planSections(runs, target);
    this.#runs = runs.map(({ file, keyGroups }, index) => ({
      file,
      index,
      keyGroups: intersect(keyGroups, target.keyGroups),
      sections: sections[index] ?? [],
      timers: {
        removed: byBucket(file.header.timers.removed),
        rows: byBucket(file.header.timers.rows),
      },
    }));
  }

  /** What the runs say is gone, for whoever has to pass it on. */
  get tombstones(): RangeTombstones {
    return this.#tombstones;
  }

  /** The buckets of the target's key groups. */
  get buckets(): KeyGroupRange {
    return bucketsOf(this.#target.keyGroups, this.#target.maxParallelism);
  }

  /** All of a bucket, or what the target's span has of it. */
  replay(bucket: number): void {
    const met = new Set<string>();
    for (const run of this.#runs) {
      for (const section of run.sections) {
        if (section.rows.has(bucket)) {
          section.state.beginRows?.(!met.has(section.name));
          met.add(section.name);
        }
        this.#replayState(run, section, bucket);
      }
      this.#replayTimers(run, bucket);
    }
  }

  #replayState(run: RunPlan, section: SectionPlan, bucket: number): void {
    const { state, migrate, name, isWindow } = section;
    const { keys } = run.file.header;
    this.#eachRow(
      run,
      section.cleared.get(bucket),
      () => ROW_CODECS.cleared(keys),
      () => state.restoreCleared(),
    );
    this.#eachRow(
      run,
      section.removed.get(bucket),
      () => ROW_CODECS.removed(keys),
      (row) => state.restoreRemoved(row),
    );
    const { span } = this.#target;
    this.#eachRow(
      run,
      section.rows.get(bucket),
      section.rowCodec,
      (row, keyGroup) => {
        if (isWindow && this.#tombstones.isDropped(name, row.start, keyGroup, run.index)) return;
        if (migrate !== undefined && span?.isLater !== true) row.value = migrate(row.value);
        state.restoreRow(row);
      },
      (inSameRun) => state.ignoresLater?.(inSameRun) ?? inSameRun,
    );
  }

  #replayTimers(run: RunPlan, bucket: number): void {
    const { keys } = run.file.header;
    const { removed, rows } = run.timers;
    this.#eachRow(
      run,
      removed.get(bucket),
      () => ROW_CODECS.removedTimer(keys),
      (row) => {
        this.#target.restoreRemovedTimer(domainOf(row), row.timestamp);
      },
    );
    this.#eachRow(
      run,
      rows.get(bucket),
      () => ROW_CODECS.timer(keys),
      (row, keyGroup) => {
        if (Number.isNaN(row.timestamp) || !Number.isSafeInteger(row.sequence)) {
          throw corruptRun('a timer without a time');
        }
        if (this.#tombstones.isFired(row, keyGroup, run.index)) return;
        this.#target.restoreTimer(domainOf(row), row.timestamp, row.sequence);
      },
    );
  }

  /** Visits the rows whose key groups count, with the row's key as the current one. */
  #eachRow<Row extends StateRow | TimerRow>(
    run: RunPlan,
    chunks: readonly ChunkEntry[] | undefined,
    codecOf: () => RecordCodec<Row>,
    visit: (row: Row, keyGroup: number) => void,
    ignoresLater = (inSameRun: boolean): boolean => inSameRun,
  ): void {
    if (chunks === undefined) return;
    const { maxParallelism, span } = this.#target;
    const codec = codecOf();
    const into = { values: [] as Row[], timestamps: new Float64Array(0), count: 0 };
    for (const chunk of chunks) {
      if (span?.skips(run.index, ignoresLater) === true) continue;
      decoding(() => codec.decode(run.file.chunk(chunk), into));
      for (const row of into.values) {
        const key = typeof row.key === 'string' ? row.key : decodedKey(row.key);
        const hash = checkedHash(key);
        const keyGroup = keyGroupOf(hash, maxParallelism);
        // A key that belongs elsewhere would never be found again.
        if (bucketOf(keyGroup, maxParallelism) !== chunk[0]) {
          throw corruptRun('a key outside of its key group');
        }
        if (!contains(run.keyGroups, keyGroup)) continue;
        this.#target.setCurrentKey(key, hash);
        visit(row, keyGroup);
      }
      span?.hold(into.values.length, chunk[2]);
    }
  }
}

function domainOf(row: TimerRow): TimeDomain {
  return row.processingTime ? 'processingTime' : 'eventTime';
}

function decodedKey(bytes: Uint8Array): Key {
  return decoding(() => decodeKey(bytes));
}

function checkedHash(key: Key): number {
  return typeof key === 'string' ? keyHash(key) : decoding(() => keyHash(key));
}

function checkMaxParallelism({ header }: RunFile, target: ReplayTarget): void {
  if (header.maxParallelism === target.maxParallelism) return;
  throw notRestorable(
    target.operator,
    `the snapshot has max parallelism ${String(header.maxParallelism)}, the job ${String(target.maxParallelism)}; set the job's max parallelism to the former`,
  );
}
