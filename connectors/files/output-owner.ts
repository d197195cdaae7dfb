/**
 * Which job writes an operator's files in a directory: a marker lists the jobs in the order in which
 * they took it over, the last one being the owner. Without it two jobs would give their files the
 * same names. A job takes over by restoring from a checkpoint or savepoint, which is the one way in
 * which a second job continues the output of a first; a job that starts afresh is refused.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../../core/errors.js';
import { errorCode } from './input-error.js';
import { tryOutput, outputError, syncDirectory } from './output-error.js';
import { pendingFolder, pendingName, type PendingOwner } from './part-name.js';

export class OutputOwner {
  readonly #directory: string;
  readonly #self: PendingOwner;
  readonly #path: string;

  constructor(directory: string, self: PendingOwner) {
    this.#directory = directory;
    this.#self = self;
    this.#path = join(directory, `.${self.operator}.owner.json`);
  }

  /**
   * Makes the job the owner of a directory that has none.
   * @returns the number of jobs that owned it before
   * @throws MillraceError OUTPUT_CONFLICT when another job owns it
   */
  async claim(): Promise<number> {
    if ((await this.jobs()).length === 0) await this.#write([this.#self.jobId]);
    return this.check();
  }

  /** As `claim`, but never makes the job the owner. */
  async check(): Promise<number> {
    const jobs = await this.jobs();
    if (jobs.at(-1) === this.#self.jobId) return jobs.length - 1;
    throw this.#refusal(jobs.at(-1));
  }

  /**
   * Makes the job the owner after a restart; it can't be one again once another job took over.
   * @param restoredJobId whose checkpoint was restored: only then does output of that job go on here
   * @throws MillraceError OUTPUT_CONFLICT when the directory belongs to a job that was not restored
   */
  async takeOver(restoredJobId: string | undefined): Promise<void> {
    const jobs = await this.jobs();
    const owner = jobs.at(-1);
    if (owner === this.#self.jobId) return;
    const continues = restoredJobId !== undefined && jobs.includes(restoredJobId);
    if (jobs.includes(this.#self.jobId) || (owner !== undefined && !continues)) {
      throw this.#refusal(owner);
    }
    // The restored job may never have written here; what else is restored from it must be let in, too.
    const isOther = restoredJobId !== undefined && restoredJobId !== this.#self.jobId;
    const before = owner === undefined && isOther ? [restoredJobId] : jobs;
    await this.#write([...before, this.#self.jobId]);
    await this.check();
  }

  /** All jobs that ever owned the operator's files, the present one last. */
  async jobs(): Promise<readonly string[]> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw outputError('read', this.#path, error);
    }
    const jobs = parseJobs(text);
    if (jobs !== undefined) return jobs;
    throw new MillraceError(
      'OUTPUT_CONFLICT',
      `${this.#path} is damaged, so whose output this is can't be known; choose another directory`,
    );
  }

  async #write(jobs: readonly string[]): Promise<void> {
    const folder = pendingFolder(this.#directory);
    const draft = join(folder, `${pendingName(this.#self, 0)}.owner`);
    await tryOutput('create', folder, () => mkdir(folder, { recursive: true }));
    await tryOutput('write', draft, async () => {
      const file = await open(draft, 'w');
      try {
        await file.writeFile(`${JSON.stringify({ operator: this.#self.operator, jobs })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    });
    await tryOutput('rename', this.#path, () => rename(draft, this.#path));
    await syncDirectory(this.#directory);
  }

  #refusal(owner: string | undefined): MillraceError {
    const { operator, jobId } = this.#self;
    const whose = owner === undefined ? 'lost its owner marker' : `belongs to job ${owner}`;
    return new MillraceError(
      'OUTPUT_CONFLICT',
      `output of operator '${operator}' in ${this.#directory} ${whose}, job ${jobId} can't write ` +
        'there; choose an empty directory, or start from a savepoint or checkpoint of that job',
    );
  }
}

function parseJobs(text: string): readonly string[] | undefined {
  try {
    const parsed = JSON.parse(text) as { jobs?: unknown } | null;
    const jobs: unknown = parsed?.jobs;
    if (!Array.isArray(jobs) || jobs.length === 0) return undefined;
    return jobs.every((job) => typeof job === 'string') ? jobs : undefined;
  } catch {
    return undefined;
  }
}
