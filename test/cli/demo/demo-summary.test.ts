import test from 'ava';
import { isExact, renderSummary, type DemoSummary } from '../../../cli/demo/demo-summary.js';

const SUMMARY: DemoSummary = {
  transactions: 1_000_000,
  alerts: 2345,
  plantedFrauds: 1000,
  caught: 951,
  precision: 0.9123,
  recall: 0.951,
  checkpointsCompleted: 7,
  restarts: 1,
  killed: true,
  recoveryMs: 850,
  missing: 0,
  duplicated: 0,
  different: 0,
  seconds: 42.5,
};

test('the summary names every figure and the next commands', (t) => {
  t.is(
    renderSummary(SUMMARY, ['npx millrace jobs'], { color: false }),
    `
transactions in 1,000,000
alerts out      2,345
planted frauds  951 of 1,000 caught (precision 91.2%, recall 95.1%)
checkpoints     7 completed
restarts        1; stood still for 850 ms after a worker was killed
time            42.5 s
output          missing 0, duplicated 0, different 0 against a single-threaded reference

next
  npx millrace jobs
`,
  );
});

test('one record too few, too many or changed is a failure', (t) => {
  t.true(isExact(SUMMARY));
  for (const flaw of ['missing', 'duplicated', 'different']) {
    t.false(isExact({ ...SUMMARY, [flaw]: 1 }));
  }
});
