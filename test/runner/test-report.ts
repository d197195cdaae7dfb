/**
 * Reads ava's report for people, line by line, and counts. (Its report in the Test Anything Protocol
 * crashes on an error whose stack has no frames and on a timeout, and takes the run along.) Every line
 * that is not about a test that passed or was skipped is kept, so that whatever went wrong is shown.
 * It must never call a run good that did not come to its own end: a report without its closing counts
 * is a failure.
 */
import { stripVTControlCharacters } from 'node:util';

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The second sign of each pair is what ava writes where it expects no Unicode. */
const PASSED = /^ {2}[✔√] /;
const SKIPPED = /^ {2}- \[(?:skip|todo)\] (.*)$/;
const LOG = /^ {4}(?:ℹ|i) /;
/** A test or a hook that failed, or a file that did not end well. */
const FAILED = /^ {2}[✘×] (?:\[(?:fail|unexpected pass)\]: )?(.*)$/;
const NEVER_REACHED = /^(\d+) tests? remaining in /;
/** Followed by the tests that it ended, one a line. */
const TIMEOUT = 'Timed out while running tests';
const PENDING = /^ {2}(?:◌|\( \)) (.*)$/;
const CRASHED = /^ {2}((?:Uncaught exception|Unhandled rejection) in .*)$/;
const RULE = /^ {2}─$/;
const CLOSING =
  /^ {2}(\d+) (?:tests?|hooks?|unhandled|uncaught) (passed|failed|skipped|rejections?|exceptions?|remained)\b/;

const REMARKS_MAX = 2000;

export class TestReport {
  readonly #failures: string[] = [];
  readonly #skipped: string[] = [];
  readonly #remarks: string[] = [];
  /** Counts after the last rule; undefined before the first one. */
  #closing: Map<string, number> | undefined;
  #passed = 0;
  #neverReached = 0;

  /** What failed so far: the title, and the message where the report gives it on the same line. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Titles of the tests that did not run; by our rule the title says why. */
  get skipped(): readonly string[] {
    return this.#skipped;
  }

  /** The report without the tests that passed or were skipped: what is worth reading after a failure. */
  get remarks(): readonly string[] {
    return this.#remarks;
  }

  /** Takes the next line of the report. */
  line(coloured: string): void {
    const text = stripVTControlCharacters(coloured);
    if (RULE.test(text)) this.#closing = new Map();
    const understood = this.#closing === undefined ? this.#event(text) : this.#close(text);
    if (!understood && this.#remarks.length < REMARKS_MAX) this.#remarks.push(text);
  }

  /**
   * The counts of a finished run.
   * @param exitCode of the process that wrote the report; null when a signal ended it
   */
  counts(exitCode: number | null): TestCounts {
    const closing = this.#closing ?? new Map<string, number>();
    const told = ['failed', 'remained', 'rejection', 'exception'].reduce(
      (sum, what) => sum + (closing.get(what) ?? 0),
      0,
    );
    const failed = Math.max(this.#failures.length, told) + this.#neverReached;
    // ava counts what passed only where nothing failed; a difference means that lines were lost.
    const lost = failed === 0 && (closing.get('passed') ?? 0) !== this.#passed;
    const unexplained = closing.size === 0 || lost || (exitCode !== 0 && failed === 0) ? 1 : 0;
    return { passed: this.#passed, failed: failed + unexplained, skipped: this.#skipped.length };
  }

  /** @returns whether the line needs no showing */
  #event(text: string): boolean {
    if (PASSED.test(text)) {
      this.#passed++;
      return true;
    }
    const skipped = SKIPPED.exec(text)?.[1];
    if (skipped !== undefined) {
      this.#skipped.push(skipped);
      return true;
    }
    const failure = (FAILED.exec(text) ?? PENDING.exec(text) ?? CRASHED.exec(text))?.[1];
    const neverReached = NEVER_REACHED.exec(failure ?? '')?.[1];
    if (neverReached !== undefined) {
      this.#neverReached += Number(neverReached);
    } else if (failure !== undefined && failure !== TIMEOUT) {
      this.#failures.push(failure);
    }
    return LOG.test(text);
  }

  #close(text: string): boolean {
    const [, count, what] = CLOSING.exec(text) ?? [];
    if (what !== undefined) {
      const kind = what.replace(/(rejection|exception)s$/, '$1');
      this.#closing?.set(kind, (this.#closing.get(kind) ?? 0) + Number(count));
    }
    return false;
  }
}
