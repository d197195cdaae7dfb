/**
 * Planted bugs, each one that somebody once shipped. A mutant changes what passes between the parts,
 * never the parts: it wraps a storage, a backend, a rule that is injected anyway, or rewrites events
 * and effects on their way. A simulation that can't tell a mutant from the product proves nothing.
 */
import type { ValueState } from '../../api/state.js';
import { keyHash, type Key } from '../../core/key-codec.js';
import { keyGroupOf, subtaskOf } from '../../core/key-group.js';
import { compileRecordCodec } from '../../core/record-codec.js';
import type { JobDeciderState, JobEffect, JobEvent } from '../../core/job-decider.js';
import {
  alignBarrier,
  type AlignerEvent,
  type AlignerState,
  type AlignerStep,
} from '../../worker/network/barrier-aligner.js';
import type {
  KeyedStateBackend,
  KeyedStateBackendOptions,
} from '../../worker/state/keyed-state-backend.js';
import type { HeldRuns, Run } from '../../worker/state/run-services.js';
import {
  decodeChannelState,
  encodeChannelState,
  type ChannelSection,
} from '../../worker/task/channel-state-file.js';
import { broadcastEntrySchema, encodeEntries } from '../../worker/operators/operator-state.js';
import type { CheckpointStorage } from '../../worker/task/task-environment.js';
import { joined } from '../../worker/state/run-storage.js';
import type { EventLoop, SimulatedProcess } from './event-loop.js';
import { Told } from './simulated-job.js';
import { describeFile } from './simulated-store.js';

export interface Mutation {
  readonly align?: (state: AlignerState, event: AlignerEvent) => AlignerStep;
  readonly storage?: (
    storage: CheckpointStorage,
    loop: EventLoop,
    owner: SimulatedProcess,
  ) => CheckpointStorage;
  readonly backend?: (
    backend: KeyedStateBackend,
    options: KeyedStateBackendOptions,
    /** Of the checkpoint that is restored. */
    restoredParallelism: number | undefined,
  ) => KeyedStateBackend;
  readonly positionOf?: (next: number, end: number) => number;
  readonly event?: (event: JobEvent, state: JobDeciderState) => JobEvent;
  readonly effects?: (
    effects: readonly JobEffect[],
    state: JobDeciderState,
  ) => readonly JobEffect[];
}

/** The first barrier counts for all channels, and none is ever blocked. */
function alignOnFirst(state: AlignerState, event: AlignerEvent): AlignerStep {
  if (event.kind !== 'barrier') return alignBarrier(state, event);
  if (event.checkpointId <= state.settled) return { state, effects: [] };
  const { checkpointId } = event;
  return {
    state: { ...state, pending: null, settled: checkpointId },
    effects: [{ kind: 'aligned', checkpointId }],
  };
}

/** Answers at once; the file is written long after, if its worker is still there. */
function acknowledgeEarly(
  storage: CheckpointStorage,
  loop: EventLoop,
  owner: SimulatedProcess,
): CheckpointStorage {
  return {
    read: (file) => storage.read(file),
    write: (prefix, name, pieces) => {
      const copy = joined(pieces);
      loop.schedule(40, owner, () => void storage.write(prefix, name, [copy]));
      return Promise.resolve(describeFile(prefix, name, copy));
    },
  };
}

/** In-flight data is written without the first chunk of one end of its channels. */
function leaveOutInFlight(
  side: ChannelSection['side'],
): (storage: CheckpointStorage) => CheckpointStorage {
  return (storage) => ({
    read: (file) => storage.read(file),
    write: (prefix, name, pieces) => {
      if (!name.includes('-channels-')) return storage.write(prefix, name, pieces);
      const sections = decodeChannelState(joined(pieces), name).map((section) => {
        const first = section.buffers.findIndex(({ kind }) => kind === 'chunk');
        if (section.side !== side || first < 0) return section;
        return { ...section, buffers: section.buffers.filter((_, index) => index !== first) };
      });
      return storage.write(prefix, name, [encodeChannelState(sections)]);
    },
  });
}

/** Every other slot finds nothing where the broadcast state is. */
function missBroadcastState(): Mutation {
  let slots = 0;
  return {
    storage: (storage) => {
      if (++slots % 2 === 0) return storage;
      const nothing = encodeEntries(compileRecordCodec(broadcastEntrySchema({ told: Told })), []);
      return {
        read: async (file) => {
          const bytes = await storage.read(file);
          return file.kind === 'operator' && file.operator === 'count' ? nothing : bytes;
        },
        write: (prefix, name, bytes) => storage.write(prefix, name, bytes),
      };
    },
  };
}

function dropTimersOnRestore(backend: KeyedStateBackend): KeyedStateBackend {
  const restore = backend.restore.bind(backend);
  backend.restore = (files) => {
    restore(files);
    backend.timers.advance('eventTime', Number.MAX_SAFE_INTEGER, () => undefined);
  };
  return backend;
}

/** A subtask takes only the timers that the subtask of its number had, as if nothing was rescaled. */
function keepTimersOfOwnNumber(
  backend: KeyedStateBackend,
  { keyGroups, maxParallelism }: KeyedStateBackendOptions,
  before: number | undefined,
): KeyedStateBackend {
  if (before === undefined) return backend;
  const parallelism = Math.round(maxParallelism / (keyGroups.end - keyGroups.start));
  const own = subtaskOf(keyGroups.start, parallelism, maxParallelism);
  const restore = backend.restore.bind(backend);
  backend.restore = (files) => {
    restore(files);
    const kept: (() => void)[] = [];
    backend.timers.advance('eventTime', Number.MAX_SAFE_INTEGER, (timestamp, key) => {
      const group = keyGroupOf(keyHash(key), maxParallelism);
      if (subtaskOf(group, before, maxParallelism) !== own) return;
      kept.push(() => {
        backend.setCurrentKey(key);
        backend.timers.register('eventTime', timestamp);
      });
    });
    for (const register of kept) register();
  };
  return backend;
}

/** What a snapshot hands on of its runs. */
function changeRuns(
  change: (runs: readonly Run[]) => readonly Run[],
): (backend: KeyedStateBackend) => KeyedStateBackend {
  return (backend) => {
    const snapshot = backend.snapshot.bind(backend);
    backend.snapshot = (checkpointId) => {
      const taken = snapshot(checkpointId);
      const runs = async (): Promise<HeldRuns> => {
        const held = await taken.runs();
        return { ...held, runs: change(held.runs) };
      };
      return { ...taken, runs };
    };
    return backend;
  };
}

/** In each snapshot one value that has changed is what it was at the snapshot before. */
function leaveOneChangeOut(backend: KeyedStateBackend): KeyedStateBackend {
  const changed = new Map<Key, () => () => void>();
  const declare = backend.state.bind(backend);
  backend.state = (name, descriptor) => {
    const declared = declare(name, descriptor);
    if (descriptor.kind !== 'value') return declared;
    const state = declared as ValueState<unknown>;
    const update = state.update.bind(state);
    state.update = (value) => {
      const key = backend.currentKey();
      const before = state.value();
      if (!changed.has(key)) {
        changed.set(key, () => {
          backend.setCurrentKey(key);
          const now = state.value();
          if (before === undefined) state.clear();
          else update(before);
          return () => {
            backend.setCurrentKey(key);
            if (now !== undefined) update(now);
          };
        });
      }
      update(value);
    };
    return state;
  };
  const snapshot = backend.snapshot.bind(backend);
  backend.snapshot = (checkpointId) => {
    const [undo] = changed.values();
    changed.clear();
    const redo = undo?.();
    const taken = snapshot(checkpointId);
    redo?.();
    return taken;
  };
  return backend;
}

/** Tells the sinks as soon as the manifest is on its way. */
function commitEarly(effects: readonly JobEffect[], state: JobDeciderState): readonly JobEffect[] {
  return effects.flatMap((effect): readonly JobEffect[] => {
    const attempt = state.checkpoints.running?.attempt;
    if (effect.kind !== 'writeManifest' || attempt === undefined) return [effect];
    const { checkpointId } = effect;
    const { tasks } = state.checkpoints;
    return [effect, { kind: 'notifyComplete', attempt, checkpointId, tasks }];
  });
}

/** Takes any acknowledgement of a task as one of the open checkpoint, for which it wrote nothing. */
function acceptStale(event: JobEvent, state: JobDeciderState): JobEvent {
  const { running, pending } = state.checkpoints;
  if (event.kind !== 'acknowledged' || running === undefined) return event;
  if (pending?.state !== 'TRIGGERED') return event;
  const files = event.files.filter(({ key }) => key.startsWith(pending.prefix));
  return { ...event, attempt: running.attempt, checkpointId: pending.checkpointId, files };
}

/** Each makes a mutation for one run. */
export const MUTANTS = {
  'barrier-not-aligned': (): Mutation => ({ align: alignOnFirst }),
  'commit-before-completion': (): Mutation => ({ effects: commitEarly }),
  'acknowledge-before-durable': (): Mutation => ({ storage: acknowledgeEarly }),
  'notification-never-repeated': (): Mutation => {
    const told = new Set<string>();
    return {
      effects: (effects) =>
        effects.filter((effect) => {
          if (effect.kind !== 'notifyComplete') return true;
          const key = `${effect.attempt.attempt}/${effect.checkpointId}`;
          return !told.has(key) && told.add(key).size > 0;
        }),
    };
  },
  'source-position-off-by-one': (): Mutation => ({
    positionOf: (next, end) => Math.min(end, next + 1),
  }),
  'timer-dropped-on-restore': (): Mutation => ({ backend: dropTimersOnRestore }),
  'in-flight-input-left-out': (): Mutation => ({ storage: leaveOutInFlight('input') }),
  'in-flight-output-left-out': (): Mutation => ({ storage: leaveOutInFlight('output') }),
  'broadcast-state-missed-on-restore': missBroadcastState,
  'youngest-run-left-out': (): Mutation => ({
    backend: changeRuns((runs) => (runs.length > 1 ? runs.slice(0, -1) : runs)),
  }),
  'runs-in-wrong-order': (): Mutation => ({ backend: changeRuns((runs) => [...runs].reverse()) }),
  'changed-entry-not-written': (): Mutation => ({ backend: leaveOneChangeOut }),
  'timer-key-group-wrong-on-rescale': (): Mutation => ({ backend: keepTimersOfOwnNumber }),
  'stale-acknowledgement-accepted': (): Mutation => ({ event: acceptStale }),
} as const satisfies Record<string, () => Mutation>;

export type MutantName = keyof typeof MUTANTS;

export const MUTANT_NAMES = Object.keys(MUTANTS) as readonly MutantName[];
