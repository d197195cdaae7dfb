/**
 * Counts what ava reports in the Test Anything Protocol, line by line. What failed is kept with its
 * details, what was skipped with its title (by our rule the title says why). It must never call a
 * run good that did not come to its own end: a report without its closing counts is a failure.
 */

/** One test that failed: its title and the report's lines about it. */
export interface FailedTest {
  readonly title: string;
  readonly details: readonly string[];
}

export interface TapCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const TEST_LINE = /^(not )?ok(?: \d+)?(?: - (.*))?$/;
const DIRECTIVE = /^(.*?)\s*# SKIP\b.*$/i;
const CLOSING_LINE = /^# (pass|fail) (\d+)$/;

export class TapCounter {
  readonly #failures: FailedTest[] = [];
  readonly #skipped: string[] = [];
  readonly #closing = new Map<string, number>();
  #passed = 0;
  #details: string[] | undefined;

  /** The tests that failed so far. */
  get failures(): readonly FailedTest[] {
    return this.#failures;
  }

  /** Titles of the tests that did not run. */
  get skipped(): readonly string[] {
    return this.#skipped;
  }

  /** Takes the next line of the report. */
  line(text: string): void {
    const test = TEST_LINE.exec(text);
    if (test !== null) {
      this.#test(test[1] === undefined, test[2] ?? '');
      return;
    }
    const closing = CLOSING_LINE.exec(text);
    if (closing !== null) {
      this.#details = undefined;
      this.#closing.set(closing[1] ?? '', Number(closing[2]));
      return;
    }
    if (text.startsWith(' ') || text.startsWith('#')) this.#details?.push(text);
  }

  /**
   * The counts of a finished run.
   * @param exitCode of the process that wrote the report; null when a signal ended it
   */
  counts(exitCode: number | null): TapCounts {
    const reported = this.#closing.get('fail');
    // Tests that a crashed file never reached stand in the closing count alone.
    const failed = Math.max(this.#failures.length, reported ?? 0);
    const unexplained = reported === undefined || (exitCode !== 0 && failed === 0) ? 1 : 0;
    return {
      passed: this.#passed,
      failed: failed + unexplained,
      skipped: this.#skipped.length,
    };
  }

  #test(ok: boolean, description: string): void {
    this.#details = undefined;
    const directive = DIRECTIVE.exec(description);
    if (directive !== null) {
      this.#skipped.push(directive[1] ?? description);
    } else if (ok) {
      this.#passed++;
    } else {
      const details: string[] = [];
      this.#details = details;
      this.#failures.push({ title: description, details });
    }
  }
}
