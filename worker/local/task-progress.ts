/**
 * What the tasks of a local run have reported so far, for whoever waits until all of them have. The
 * first failure ends every wait. It must never touch the tasks themselves.
 */
import type { MillraceError } from '../../core/errors.js';
import type { TaskReports } from '../task/task-environment.js';

export type AwaitedReport = 'drained' | 'acknowledged' | 'committed';

export class TaskProgress implements TaskReports {
  readonly #tasks: number;
  readonly #counts = { drained: 0, acknowledged: 0, committed: 0 };
  readonly #waiting = new Map<AwaitedReport, () => void>();
  readonly #failure: Promise<never>;
  #reject: (error: unknown) => void = () => undefined;

  /** @param tasks how many there are */
  constructor(tasks: number) {
    this.#tasks = tasks;
    this.#failure = new Promise((_, reject) => {
      this.#reject = reject;
    });
    // Whoever waits hears of it; nobody else has to.
    this.#failure.catch(() => undefined);
  }

  /**
   * Resolves once every task has made the report; it is counted anew after that.
   * @throws MillraceError whatever a task failed with
   */
  async all(report: AwaitedReport): Promise<void> {
    const complete = new Promise<void>((resolve) => this.#waiting.set(report, resolve));
    this.#check(report);
    await Promise.race([complete, this.#failure]);
  }

  running(): void {
    // Nothing waits for it here.
  }

  drained(): void {
    this.#count('drained');
  }

  acknowledged(): void {
    this.#count('acknowledged');
  }

  committed(): void {
    this.#count('committed');
  }

  failed(_task: unknown, error: MillraceError): void {
    this.#reject(error);
  }

  declined(_task: unknown, _checkpointId: number, error: MillraceError): void {
    this.#reject(error);
  }

  #count(report: AwaitedReport): void {
    this.#counts[report]++;
    this.#check(report);
  }

  #check(report: AwaitedReport): void {
    const resolve = this.#waiting.get(report);
    if (resolve === undefined || this.#counts[report] < this.#tasks) return;
    this.#waiting.delete(report);
    this.#counts[report] -= this.#tasks;
    resolve();
  }
}
