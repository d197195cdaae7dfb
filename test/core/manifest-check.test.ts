import test from 'ava';
import { findManifestFault, RUNS_MAX } from '../../core/manifest-check.js';
import type { StateFile } from '../../core/state-file.js';

function run(name: string, keyGroupStart: number, keyGroupEnd: number): StateFile {
  return {
    operator: 'count',
    kind: 'keyed',
    key: `jobs/j1/chk-1/${name}`,
    lengthBytes: 10,
    sha256: 'ab'.repeat(32),
    keyGroupStart,
    keyGroupEnd,
  };
}

/** What is wrong with the lists of two subtasks, with 64 of 128 key groups each. */
function faultOf(...lists: readonly (readonly StateFile[])[]): string | undefined {
  const tasks = lists.map((files, subtask) => ({ subtask, files }));
  const vertices = [{ vertex: 'v', parallelism: lists.length, tasks }];
  return findManifestFault({ maxParallelism: 128, vertices });
}

test('runs upon each other, a file that two share by key groups, and no state at all are fine', (t) => {
  t.is(faultOf([run('a', 0, 64), run('b', 0, 64)], [run('c', 64, 128)]), undefined);
  t.is(faultOf([run('a', 0, 64)], [run('a', 64, 128), run('b', 70, 80)]), undefined);
  t.is(faultOf([], [run('b', 70, 80)]), undefined);
  t.is(faultOf([run('a', 0, 64), run('a', 64, 128), run('b', 0, 128)]), undefined, 'both parts');
  const many = Array.from({ length: RUNS_MAX }, (_, i) => run(`a${i}`, 0, 64));
  const beside = Array.from({ length: RUNS_MAX }, (_, i) => run(`b${i}`, 64, 128));
  t.is(faultOf([...many, ...beside]), undefined, 'side by side is not upon each other');
});

test('what no consistent state can look like is refused by name', (t) => {
  const operatorState: StateFile = { ...run('o', 0, 0), kind: 'operator' };
  const many = Array.from({ length: RUNS_MAX + 1 }, (_, i) => run(`a${i}`, i % 2, 64));
  const refused: readonly (readonly [string | undefined, RegExp])[] = [
    [faultOf([run('a', 0, 128)], []), /^subtask 0 of v: .*chk-1\/a holds key groups 0 to 128, not/],
    [faultOf([], [run('a', 0, 64)]), /^subtask 1 of v: .*not within 64 to 128/],
    [faultOf([run('a', 5, 5)], []), /key groups 5 to 5/],
    [faultOf([run('a', 0, 64), run('a', 63, 64)], []), /chk-1\/a is named twice/],
    [faultOf([operatorState, operatorState], []), /chk-1\/o is named twice/],
    [faultOf([operatorState], [operatorState]), /chk-1\/o is also another's file/],
    [faultOf([run('a', 0, 64)], [{ ...run('a', 64, 128), lengthBytes: 11 }]), /another length/],
    [faultOf([run('a', 0, 64)], [{ ...run('a', 64, 128), operator: 'x' }]), /another's file/],
    [faultOf(many, []), new RegExp(`has ${RUNS_MAX + 1} runs of one key group`)],
    [faultOf([]) ?? faultOf(), /parallelism 0/],
  ];
  for (const [fault, message] of refused) t.regex(fault ?? 'no fault', message);
});
