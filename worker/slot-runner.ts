/**
 * One slot as the worker's main thread sees it: the thread, its messages, its end. The thread may be
 * started ahead of what is deployed to it. Ending a slot means ending its thread, whatever user code
 * is doing; what the slot has open is closed before, if user code lets it.
 */
import { fileURLToPath } from 'node:url';
import { MessageChannel, Worker, type TransferListItem } from 'node:worker_threads';
import type { Clock } from '../core/clock.js';
import { serializeError, toMillraceError } from '../core/errors.js';
import type { StateConfig } from '../core/stream-graph.js';
import type { ScoringService } from './compute/scoring-service.js';
import { serveScoring } from './compute/scoring-pool-port.js';
import type { SlotPort } from './network/attempt-exchange.js';
import { describeHeapError, slotHeapLimits } from './slot-heap.js';
import {
  transferList,
  type FromSlot,
  type SlotDeployment,
  type SlotReport,
  type ToSlot,
} from './slot-messages.js';
import type { SlotThreadData } from './slot-thread.js';

const SLOT_THREAD = fileURLToPath(new URL('./slot-thread.js', import.meta.url));
/** A slot that was told to finish closes its writers and readers; then its thread is ended. */
const FINISH_TIMEOUT_MS = 10_000;
/** The same for a slot that is canceled: the next attempt waits for it. */
const CANCEL_TIMEOUT_MS = 2_000;

/** What a thread runs. */
export interface SlotBundle {
  /** Folder with the unpacked bundle, which the thread loads at once. */
  readonly folder: string;
  readonly state: StateConfig;
}

export interface SlotRunnerOptions {
  readonly bundle: SlotBundle;
  readonly scoring: ScoringService;
  /** Limit of the thread's heap; what its state needs unless given. */
  readonly heapMb: number | undefined;
  readonly clock: Clock;
}

/** Who hears of a slot; until it is deployed to, that is whoever keeps it ready. */
export interface SlotListener {
  onMessage(message: SlotReport): void;
  /** The thread is gone; the slot can be used again. */
  onReleased(): void;
}

export class SlotRunner {
  readonly port: SlotPort;
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #released: Promise<void>;
  #running = false;
  #listener: SlotListener;
  #ending = false;
  #canceled = false;

  constructor(options: SlotRunnerOptions, listener: SlotListener) {
    this.#listener = listener;
    this.#clock = options.clock;
    const { port1, port2 } = new MessageChannel();
    serveScoring(port1, options.scoring);
    const data: SlotThreadData = { bundleFolder: options.bundle.folder, scoringPort: port2 };
    this.#worker = new Worker(SLOT_THREAD, {
      workerData: data,
      transferList: [port2],
      resourceLimits: slotHeapLimits(options.bundle.state, options.heapMb),
    });
    this.#worker.on('message', (message: FromSlot) => {
      if (message.kind === 'running') this.#running = true;
      if (message.kind === 'closed') void this.terminate();
      else if (!this.#canceled) this.#listener.onMessage(message);
    });
    this.#worker.on('error', (error) => {
      if (this.#ending) return;
      this.#listener.onMessage({
        kind: 'failed',
        task: undefined,
        error: serializeError(
          describeHeapError(error, options.bundle.state, options.heapMb) ??
            toMillraceError(error, 'USER_CODE_FAILED'),
        ),
      });
    });
    this.#released = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        if (!this.#ending) {
          this.#listener.onMessage({
            kind: 'failed',
            task: undefined,
            error: serializeError(
              new Error(`the slot's thread ended by itself (exit code ${code})`),
            ),
          });
        }
        resolve();
        this.#listener.onReleased();
      });
    });
    this.port = {
      buffers: (channels, buffers) =>
        this.send({ kind: 'buffers', channels, buffers }, transferList(buffers)),
      credits: (channels, counts) => this.send({ kind: 'credits', channels, counts }),
    };
  }

  deploy(deployment: SlotDeployment, listener: SlotListener): void {
    this.#listener = listener;
    const { database } = deployment;
    this.send({ kind: 'deploy', deployment }, database === undefined ? [] : [database.port]);
  }

  send(message: ToSlot, transfer: TransferListItem[] = []): void {
    if (!this.#ending) this.#worker.postMessage(message, transfer);
  }

  /** Closes the slot's tasks in order, then ends the thread. */
  async finish(): Promise<void> {
    if (this.#ending) return this.#released;
    this.send({ kind: 'finish' });
    this.#ending = true;
    const cancel = this.#clock.setTimer(FINISH_TIMEOUT_MS, () => void this.#worker.terminate());
    await this.#released;
    cancel();
  }

  /** Closes the slot's tasks as they are, then ends the thread; nobody listens to them any more. */
  async cancel(): Promise<void> {
    if (this.#ending || !this.#running) return this.terminate();
    this.send({ kind: 'cancel' });
    this.#ending = true;
    this.#canceled = true;
    const cancel = this.#clock.setTimer(CANCEL_TIMEOUT_MS, () => void this.#worker.terminate());
    await this.#released;
    cancel();
  }

  /** Ends the thread at once. */
  async terminate(): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
    await this.#released;
  }
}
