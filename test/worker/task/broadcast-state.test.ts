/**
 * Broadcast state in real slots: the same in every subtask, over checkpoints with broadcast records in
 * flight, aligned or not, and restores at any parallelism. Each law is shown to notice an engine that
 * breaks it.
 */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { CheckpointManifest } from '../../../core/checkpoint-manifest.js';
import type { StateFile } from '../../../core/state-file.js';
import { MemoryCheckpointStorage } from '../../../worker/local/memory-checkpoint-storage.js';
import { InputGate } from '../../../worker/network/input-gate.js';
import { encodeEntries, broadcastEntrySchema } from '../../../worker/operators/operator-state.js';
import { compileRecordCodec } from '../../../core/record-codec.js';
import { DoublingService, SlotCluster } from './slot-cluster.js';
import { clicks } from './slot-input.js';
import { CommittedLines, GatedSource, type Click } from './slot-job.js';
import {
  expectedJudgements,
  expectedRules,
  PROBE,
  Rule,
  RULES_MAX_PARALLELISM,
  rulesJob,
  type Probed,
} from './rules-job.js';

const OPERATORS = ['judge', 'pass'];
const TIMEOUT_MS = 20;
/** Turns without a record read after which everything stands still. */
const QUIET_TURNS = 60;

/** Rules whose times lie among those of the clicks. */
function rulesOf(splits: number, perSplit: number): Click[][] {
  return Array.from({ length: splits }, (_, split) =>
    Array.from({ length: perSplit }, (_unused, index) => ({
      user: `rule${split}`,
      n: index + 1,
      at: index * 3,
    })),
  );
}

/** What the job reads and has committed, over all of its attempts. */
class World {
  readonly clicks: GatedSource;
  readonly rules: GatedSource;
  readonly sink = new CommittedLines();
  readonly #probed: Probed[] = [];

  constructor(
    readonly clickSplits: readonly (readonly Click[])[],
    readonly ruleSplits: readonly (readonly Click[])[],
    readonly storage = new MemoryCheckpointStorage(),
  ) {
    this.clicks = new GatedSource(clickSplits);
    this.rules = new GatedSource(ruleSplits);
  }

  open(parallelism: number, restore?: CheckpointManifest): SlotCluster {
    const { clicks: stream, rules, sink, storage } = this;
    const onProbe = (probed: Probed): void => void this.#probed.push(probed);
    return new SlotCluster({
      job: rulesJob({ clicks: stream, rules, sink, onProbe }),
      parallelism,
      storage,
      scoring: new DoublingService(),
      ...(restore === undefined ? {} : { restore }),
    });
  }

  async start(parallelism: number, restore?: CheckpointManifest): Promise<SlotCluster> {
    const cluster = this.open(parallelism, restore);
    await cluster.start();
    return cluster;
  }

  /** What every subtask of both operators holds, by name of the rule. */
  states(cluster: SlotCluster): Probed[] {
    this.#probed.length = 0;
    for (const { chain } of cluster.slots.flatMap(({ tasks }) => tasks)) {
      for (const operator of chain.operators) operator.processBroadcastElement?.(PROBE, 0);
    }
    return this.#probed.map(([operator, rules]) => [
      operator,
      [...rules].sort(([a], [b]) => (a < b ? -1 : 1)),
    ]);
  }

  /** Resolves once the sources are stopped by what stands before them. */
  async standsStill(): Promise<void> {
    const read = (): number => this.clicks.read + this.rules.read;
    for (let quiet = 0, before = read(); quiet < QUIET_TURNS; quiet++) {
      await turn();
      if (read() !== before) quiet = 0;
      before = read();
    }
  }

  /** To the end of the input; what is committed then is what the model says, and so is every subtask's state. */
  async finishes(t: ExecutionContext, cluster: SlotCluster, id: number): Promise<void> {
    this.sink.release();
    await cluster.reached('drained');
    const rules = expectedRules(this.ruleSplits);
    for (const [operator, held] of this.states(cluster)) {
      t.deepEqual(held, rules, `the rules of a subtask of ${operator}`);
    }
    await cluster.finish(id);
    t.deepEqual(this.sink.lines, expectedJudgements(this.clickSplits, this.ruleSplits));
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Completes a checkpoint that may overtake, while nothing but time goes on. */
async function unaligned(
  cluster: SlotCluster,
  id: number,
  timeoutMs = TIMEOUT_MS,
): Promise<CheckpointManifest> {
  cluster.trigger(id, false, timeoutMs);
  let isOver = false;
  const completed = cluster.completed(id).finally(() => (isOver = true));
  completed.catch(() => undefined);
  while (!isOver) {
    await turn();
    cluster.clock.advance(1);
  }
  return completed;
}

/** All subtasks hold the same, and as many do as there are. */
function sameEverywhere(t: ExecutionContext, states: readonly Probed[], parallelism: number): void {
  for (const operator of OPERATORS) {
    const held = states.filter(([name]) => name === operator).map(([, rules]) => rules);
    t.is(held.length, parallelism);
    for (const rules of held) t.deepEqual(rules, held[0]);
  }
}

const parallelisms = fc.integer({ min: 1, max: 5 });

/** A random checkpoint in the middle of the input, and a random parallelism after it. */
async function judgesExactly(t: ExecutionContext, numRuns: number): Promise<number> {
  let overtaken = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(parallelisms, parallelisms, parallelisms),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(null, 0, TIMEOUT_MS),
      fc.nat(120),
      async ([first, second, third], splits, timeoutMs, gate) => {
        const world = new World(clicks(splits, 150), rulesOf(splits, 150));
        world.rules.moveGate(gate);
        const before = await world.start(first);
        if (timeoutMs !== null) world.sink.hold((line) => line.includes('7'));
        await world.standsStill();
        world.rules.moveGate(Infinity);
        await turn();
        const [manifest, isUnaligned] =
          timeoutMs === null
            ? [await before.checkpoint(1), false]
            : [await unaligned(before, 1, timeoutMs), before.unaligned(1)];
        if (isUnaligned) overtaken++;
        await before.close();
        const restored = world.open(second, manifest);
        await restored.build();
        const states = world.states(restored);
        sameEverywhere(t, states, second);
        await restored.close();
        const after = await world.start(third, manifest);
        sameEverywhere(t, states, second);
        await world.finishes(t, after, 2);
      },
    ),
    { numRuns },
  );
  return overtaken;
}

test('property: rules are applied once everywhere, whatever the checkpoint and the parallelisms', async (t) => {
  const overtaken = await judgesExactly(t, 20);
  t.true(overtaken > 0, 'barriers overtook');
});

test('a row of restores up and down, with rules changing all the while', async (t) => {
  const world = new World(clicks(3, 160), rulesOf(2, 160));
  let manifest: CheckpointManifest | undefined;
  const row = [2, RULES_MAX_PARALLELISM, 1, 3];
  for (const [step, parallelism] of row.entries()) {
    world.rules.moveGate((step + 1) * 30);
    world.clicks.moveGate((step + 1) * 30);
    const cluster = await world.start(parallelism, manifest);
    await world.standsStill();
    sameEverywhere(t, world.states(cluster), parallelism);
    manifest = await cluster.checkpoint(step + 1);
    const files = manifest.vertices
      .flatMap(({ tasks }) => tasks.flatMap((task) => task.files))
      .filter(({ kind, operator }) => kind === 'operator' && OPERATORS.includes(operator));
    t.is(files.length, 2, 'one file an operator, however many subtasks');
    await cluster.close();
  }
  world.rules.moveGate(Infinity);
  world.clicks.moveGate(Infinity);
  await world.finishes(t, await world.start(4, manifest), row.length + 1);
});

test('a checkpoint that may overtake does not wait for a sink that takes nothing, with rules in flight', async (t) => {
  const world = new World(clicks(2, 600), rulesOf(2, 300));
  world.rules.moveGate(100);
  world.sink.hold();
  const cluster = await world.start(2);
  await world.standsStill();
  t.true(world.clicks.read < 1200, 'the clicks are held up');
  world.rules.moveGate(Infinity);
  await world.standsStill();
  const manifest = await unaligned(cluster, 1);
  t.true(cluster.unaligned(1));
  await cluster.close();
  await world.finishes(t, await world.start(3, manifest), 2);
});

test('a checkpoint without the file of its broadcast state is refused by name', async (t) => {
  const world = new World(clicks(1, 20), rulesOf(1, 20));
  const cluster = await world.start(2);
  await cluster.reached('drained');
  const manifest = await cluster.checkpoint(1);
  await cluster.close();
  const restored = world.open(2, {
    ...manifest,
    vertices: manifest.vertices.map((vertex) => ({
      ...vertex,
      tasks: vertex.tasks.map(({ subtask, files }) => ({
        subtask,
        files: files.filter(({ kind, operator }) => kind !== 'operator' || operator !== 'judge'),
      })),
    })),
  });
  const error = await t.throwsAsync(restored.build());
  t.regex(error?.message ?? '', /^CHECKPOINT_CORRUPT: .*broadcast state of "judge"/);
});

/** Gives the rules of an operator to the first subtask that asks, and nothing to the others. */
class ForgetfulStorage extends MemoryCheckpointStorage {
  readonly #given = new Set<string>();

  override async read(file: StateFile): Promise<Uint8Array> {
    const bytes = await super.read(file);
    if (file.kind !== 'operator' || file.operator !== 'judge') return bytes;
    if (!this.#given.has(file.key)) {
      this.#given.add(file.key);
      return bytes;
    }
    return encodeEntries(compileRecordCodec(broadcastEntrySchema({ rules: Rule })), []);
  }
}

test('the mutant "a restored subtask misses the broadcast state" is caught', async (t) => {
  const world = new World(clicks(2, 100), rulesOf(2, 100), new ForgetfulStorage());
  world.rules.moveGate(50);
  world.clicks.moveGate(50);
  const before = await world.start(2);
  await world.standsStill();
  const manifest = await before.checkpoint(1);
  await before.close();
  world.rules.moveGate(Infinity);
  world.clicks.moveGate(Infinity);
  const after = await world.start(3, manifest);
  await after.finish(2);
  t.notDeepEqual(world.sink.lines, expectedJudgements(world.clickSplits, world.ruleSplits));
});

test.serial('the mutant "a barrier overtakes what is broadcast" is caught', async (t) => {
  const { prototype } = InputGate;
  const rule = Object.getOwnPropertyDescriptor(prototype, 'mayOvertake') ?? {};
  Object.defineProperty(prototype, 'mayOvertake', { ...rule, value: () => true });
  try {
    const world = new World(clicks(2, 600), rulesOf(2, 300));
    world.rules.moveGate(100);
    world.sink.hold();
    const cluster = await world.start(2);
    await world.standsStill();
    world.rules.moveGate(Infinity);
    await world.standsStill();
    const error = await t.throwsAsync(unaligned(cluster, 1));
    t.regex(error?.message ?? '', /no barrier overtakes what is broadcast/);
    await cluster.close();
  } finally {
    Object.defineProperty(prototype, 'mayOvertake', rule);
  }
});
