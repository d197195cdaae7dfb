/**
 * A state thread as the worker's main thread sees it: started beside a slot that keeps its state in
 * RocksDB, ended after it. Whatever ends the thread, a slot that waits for it is woken: that is why
 * the slot's own thread, which blocks, must never be the one to start it.
 */
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Clock } from '../../../core/clock.js';
import type { MillraceError } from '../../../core/errors.js';
import { SERVING_HEAP_LIMITS } from '../serving-heap.js';
import { splitBudget } from './cold-budget.js';
import { stateThreadLost, type DatabaseConnection } from './database-messages.js';
import { DatabaseSignals } from './database-signals.js';
import { loadRocks } from './rocks-database.js';
import type { StateThreadData } from './state-thread.js';

const STATE_THREAD = fileURLToPath(new URL('./state-thread.js', import.meta.url));

/** Closing the database takes milliseconds. */
const END_TIMEOUT_MS = 10_000;

export interface StateThreadOptions {
  /** Of this slot and this attempt alone; emptied at the start, removed at the end. */
  readonly folder: string;
  /** `state.memoryBytesMax` of the job. */
  readonly memoryBytesMax: number;
  readonly clock: Clock;
  /** The thread ended by itself: the slot fails at its next call, or now if this says so. */
  readonly onLost: (error: MillraceError) => void;
}

export class StateThreadRunner {
  /** For the slot's thread; its port is to be transferred. */
  readonly connection: DatabaseConnection;
  readonly #worker: Worker;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #ended: Promise<void>;
  #ending = false;

  /** @throws MillraceError STATE_INVALID where RocksDB can't be loaded */
  constructor({ folder, memoryBytesMax, clock, onLost }: StateThreadOptions) {
    loadRocks();
    const { port1, port2 } = new MessageChannel();
    const signals = new DatabaseSignals();
    this.connection = { port: port2, signals: signals.memory, folder };
    this.#folder = folder;
    this.#clock = clock;
    const data: StateThreadData = {
      folder,
      budget: splitBudget(memoryBytesMax),
      port: port1,
      signals: signals.memory,
    };
    this.#worker = new Worker(STATE_THREAD, {
      workerData: data,
      transferList: [port1],
      resourceLimits: SERVING_HEAP_LIMITS,
    });
    let why = '';
    this.#worker.on('error', (error) => {
      why = ` (${error.message})`;
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        signals.end();
        if (!this.#ending) onLost(stateThreadLost(folder, why));
        resolve();
      });
    });
  }

  /**
   * Ends the thread, whatever it is doing, and removes its folder if it can: a later worker will.
   * @returns false if the thread does not end, since the disk hangs: the process can't exit then either
   */
  async end(): Promise<boolean> {
    this.#ending = true;
    void this.#worker.terminate();
    const ended = await new Promise<boolean>((resolve) => {
      const cancel = this.#clock.setTimer(END_TIMEOUT_MS, () => resolve(false));
      void this.#ended.then(() => {
        cancel();
        resolve(true);
      });
    });
    if (ended) await rm(this.#folder, { recursive: true, force: true }).catch(() => undefined);
    return ended;
  }
}
