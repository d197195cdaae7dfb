/**
 * A whole check: the steps in order, then the tests, and the last line that people and machines read.
 * Each step counts as one. Tests do not run on code that does not compile, and that is said.
 */
import { runStep, type CheckStep } from './check-step.js';
import { TestReport } from './test-report.js';

export interface CheckPlan {
  /**
   * Bring programs that some tests need, beside all other steps and before the tests. None of them
   * counts: tests that miss their program are skipped and say so.
   */
  readonly programs?: readonly CheckStep[];
  /** Steps without which the tests can't run. */
  readonly build: readonly CheckStep[];
  readonly rules: readonly CheckStep[];
  /** Writes ava's report for people. */
  readonly tests: CheckStep;
}

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** `N passed, N failed`, and `, N skipped` where something was. */
export function summaryLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/**
 * Runs the plan.
 * @param print is given lines for people; the last one is the summary
 */
export async function runCheck(plan: CheckPlan, print: (line: string) => void): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  const programs = (plan.programs ?? []).map(
    async (step) => [step.name, await runStep(step)] as const,
  );
  let built = true;
  for (const step of plan.build) built = (await runRule(step, totals, print)) && built;
  for (const step of plan.rules) await runRule(step, totals, print);
  for (const [name, { exitCode, seconds, output }] of await Promise.all(programs)) {
    const outcome = exitCode === 0 ? 'ready' : `missing (${output.at(-1) ?? 'no reason given'})`;
    print(`${outcome}: ${name} (${seconds.toFixed(1)} s)`);
  }
  if (built) {
    await runTests(plan.tests, totals, print);
  } else {
    totals.skipped++;
    print(`skipped: ${plan.tests.name}, because the code does not compile`);
  }
  print(summaryLine(totals));
  return totals;
}

async function runRule(
  step: CheckStep,
  totals: Totals,
  print: (line: string) => void,
): Promise<boolean> {
  const { exitCode, seconds, output } = await runStep(step);
  const passed = exitCode === 0;
  totals[passed ? 'passed' : 'failed']++;
  if (!passed) output.forEach(print);
  print(`${passed ? 'ok' : 'FAILED'}: ${step.name} (${seconds.toFixed(1)} s)`);
  return passed;
}

async function runTests(
  step: CheckStep,
  totals: Totals,
  print: (line: string) => void,
): Promise<void> {
  const report = new TestReport();
  const { exitCode, seconds, output } = await runStep(step, (line) => report.line(line));
  const counts = report.counts(exitCode);
  if (counts.failed > 0) {
    output.forEach(print);
    report.remarks.forEach(print);
    for (const failure of report.failures) print(`FAILED: ${failure}`);
  }
  for (const title of report.skipped) print(`skipped: ${title}`);
  print(
    `${counts.failed === 0 ? 'ok' : 'FAILED'}: ${step.name}: ${summaryLine(counts)} (${seconds.toFixed(1)} s)`,
  );
  totals.passed += counts.passed;
  totals.failed += counts.failed;
  totals.skipped += counts.skipped;
}
