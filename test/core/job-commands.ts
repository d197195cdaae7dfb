/** What may happen to a job, at random: the histories under which the job decider's laws are held. */
import fc from 'fast-check';
import { WORKERS } from './job-fixture.js';

/** One of the tasks that there are then. */
const task = fc.nat(11);
/** How far behind the current one the attempt or checkpoint of a report is; mostly not at all. */
const behind = fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 2 }));

/** What may happen. 'answer' lets the world answer the oldest effect that waits for one. */
export const jobCommand = fc.oneof(
  /** Everything goes well for a while: what waits is answered, tasks run and acknowledge. */
  { weight: 8, arbitrary: fc.record({ do: fc.constant('progress' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const) }) },
  { weight: 36, arbitrary: fc.record({ do: fc.constant('answer' as const), fail: fc.nat(9) }) },
  { weight: 24, arbitrary: fc.record({ do: fc.constant('wake' as const) }) },
  {
    weight: 18,
    arbitrary: fc.record({
      do: fc.constant('allTasks' as const),
      state: fc.constantFrom('RUNNING', 'RUNNING', 'RUNNING', 'DRAINED', 'FINISHED'),
    }),
  },
  { weight: 24, arbitrary: fc.record({ do: fc.constant('acknowledgeAll' as const), behind }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), task, behind }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('decline' as const), task, behind }) },
  { weight: 15, arbitrary: fc.record({ do: fc.constant('commitAll' as const), behind }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('taskFailed' as const), task, behind }) },
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant('release' as const), slice: fc.nat(3), behind }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('workerLost' as const),
      worker: fc.constantFrom(...WORKERS),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('savepoint' as const), stop: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('slots' as const),
      slots: fc.nat(4),
      leaving: fc.subarray([...WORKERS], { maxLength: 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('rescale' as const),
      parallelism: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('prepared' as const) }) },
  /** A rescale that nothing stands in the way of. */
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      parallelism: fc.integer({ min: 1, max: 4 }),
    }),
  },
);
export type JobCommand = typeof jobCommand extends fc.Arbitrary<infer C> ? C : never;
