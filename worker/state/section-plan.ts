/**
 * How the sections of a list of runs are read into the states that are declared now. A later run
 * says what was declared when it was written: a state that it does not list was dropped with all of
 * its earlier rows, and a value goes through every schema that came in between.
 */
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import { evolve, type Migration } from '../../core/schema-evolution.js';
import { schemaFromJson } from '../../core/schema-json.js';
import type { Schema } from '../../core/schema.js';
import type { DeclaredState } from './declared-state.js';
import { intersect } from './key-group-buckets.js';
import type { ReplayedState } from './heap-state.js';
import { notRestorable, type ReplayedRun, type ReplayTarget } from './replay-target.js';
import { corruptRun, type ChunkEntry, type StateForm, type StateSection } from './run-file.js';
import { stateRowSchema, type KeyColumn, type StateRow } from './run-rows.js';

export type ChunksByBucket = ReadonlyMap<number, readonly ChunkEntry[]>;

export interface SectionPlan {
  readonly name: string;
  readonly state: ReplayedState;
  readonly isWindow: boolean;
  /** What makes the declared row of a written one; undefined: they are alike. */
  readonly migrate: Migration | undefined;
  readonly rowCodec: () => RecordCodec<StateRow>;
  readonly cleared: ChunksByBucket;
  readonly removed: ChunksByBucket;
  readonly rows: ChunksByBucket;
}

/**
 * @returns for each run the plans of the sections that count
 * @throws MillraceError CHECKPOINT_CORRUPT or STATE_NOT_RESTORABLE naming the state
 */
export function planSections(
  runs: readonly ReplayedRun[],
  target: ReplayTarget,
): readonly (readonly SectionPlan[])[] {
  const planner = new SectionPlanner(target);
  const byName = runs.map(
    ({ file }) => new Map(file.header.states.map((section) => [section.name, section])),
  );
  return runs.map(({ file, keyGroups }, index) => {
    const later = byName.filter((_, at) => {
      const run = runs[at];
      return run !== undefined && at > index && overlap(run.keyGroups, keyGroups);
    });
    return file.header.states.flatMap((section) => {
      const versions = later.map((sections) => sections.get(section.name));
      // Dropped since, maybe declared anew as something else after that.
      if (versions.some((version) => version?.kind !== section.kind)) return [];
      const plan = planner.plan(section, versions as StateSection[], file.header.keys);
      return plan === undefined ? [] : [plan];
    });
  });
}

export function byBucket(chunks: readonly ChunkEntry[]): ChunksByBucket {
  const buckets = new Map<number, ChunkEntry[]>();
  for (const chunk of chunks) {
    const known = buckets.get(chunk[0]);
    if (known === undefined) buckets.set(chunk[0], [chunk]);
    else known.push(chunk);
  }
  return buckets;
}

class SectionPlanner {
  readonly #target: ReplayTarget;
  readonly #codecs = new Map<string, RecordCodec<StateRow>>();
  readonly #schemas = new Map<string, Schema>();
  readonly #read = new Map<StateForm, Schema>();

  constructor(target: ReplayTarget) {
    this.#target = target;
  }

  /** @param versions the same state in later runs, in order */
  plan(
    section: StateSection,
    versions: readonly StateForm[],
    keys: KeyColumn,
  ): SectionPlan | undefined {
    const declared = this.#declared(section);
    if (declared === undefined) return undefined;
    const { kind, schema } = declared.form;
    const steps = this.#steps([section, ...versions], schema);
    const migrate = steps.length === 0 ? undefined : composed(steps);
    return {
      name: section.name,
      state: declared.state,
      isWindow: kind === 'window',
      migrate:
        migrate === undefined || kind !== 'list'
          ? migrate
          : (elements) => (elements as readonly unknown[]).map(migrate),
      rowCodec: () => this.#codec(section, declared, keys),
      cleared: byBucket(section.cleared),
      removed: byBucket(section.removed),
      rows: byBucket(section.rows),
    };
  }

  #declared(section: StateSection): DeclaredState<ReplayedState> | undefined {
    const { states, allowNonRestoredState, operator } = this.#target;
    const declared = states.get(section.name);
    if (declared === undefined) {
      if (allowNonRestoredState) return undefined;
      throw notRestorable(
        operator,
        `state '${section.name}' is in the snapshot but no longer declared; declare it, or restore with --allow-non-restored-state to drop it`,
      );
    }
    const { kind } = declared.form;
    if (section.kind === kind) return declared;
    throw notRestorable(
      operator,
      `state '${section.name}' is a ${section.kind} state in the snapshot, now a ${kind} state; give the new one another name`,
    );
  }

  /** From each schema to the next that differs, and at last to the declared one. */
  #steps(versions: readonly StateForm[], declared: Schema): readonly Migration[] {
    const steps: Migration[] = [];
    const schemas = [...versions.map((version) => this.#schema(version)), declared];
    for (let i = 1; i < schemas.length; i++) {
      const [from, to] = [schemas[i - 1], schemas[i]];
      if (from === undefined || to === undefined || from === to) continue;
      const step = evolve(from, to);
      if (!step.compatible) {
        throw notRestorable(
          this.#target.operator,
          `state '${versions[0]?.name ?? ''}': ${step.reason}; keep the schema compatible, or give the new state another name`,
        );
      }
      if (step.migrate !== null) steps.push(step.migrate);
    }
    return steps;
  }

  /** One object for equal schemas. */
  #schema(form: StateForm): Schema {
    const known = this.#read.get(form);
    if (known !== undefined) return known;
    const text = JSON.stringify(form.schema);
    const schema = this.#schemas.get(text) ?? readSchema(form);
    this.#schemas.set(text, schema);
    this.#read.set(form, schema);
    return schema;
  }

  #codec(
    section: StateSection,
    declared: DeclaredState<ReplayedState>,
    keys: KeyColumn,
  ): RecordCodec<StateRow> {
    const text = JSON.stringify(section.schema);
    const ttl = section.ttlMs !== null;
    if (ttl === declared.form.ttl && text === JSON.stringify(declared.json.schema)) {
      return declared.codec(keys);
    }
    const name = `${section.kind} ${String(ttl)} ${keys} ${text}`;
    let codec = this.#codecs.get(name);
    if (codec === undefined) {
      const form = { kind: section.kind, schema: this.#schema(section), ttl };
      codec = compileRecordCodec(stateRowSchema(form, keys));
      this.#codecs.set(name, codec);
    }
    return codec;
  }
}

function readSchema({ name, schema }: StateForm): Schema {
  try {
    return schemaFromJson(schema);
  } catch (cause) {
    throw corruptRun(`an unreadable schema of state '${name}'`, cause);
  }
}

function composed(steps: readonly Migration[]): Migration {
  return (value) => steps.reduce((current, step) => step(current), value);
}

function overlap(left: ReplayedRun['keyGroups'], right: ReplayedRun['keyGroups']): boolean {
  const { start, end } = intersect(left, right);
  return start < end;
}
