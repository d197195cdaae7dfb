/**
 * The workers that are here: one session each, from its Register until its stream breaks or its
 * heartbeats stop. It tells its listener of each arrival, loss and message, and must never decide
 * what a loss means for a job. Heartbeats are judged by monotonic time only.
 */
import type { Clock } from '../core/clock.js';
import { MillraceError } from '../core/errors.js';
import type { CoordinatorMessage, WorkerMessage } from '../proto/gen/millrace/v1/control.js';
import { COORDINATOR_LIMITS } from './limits.js';

export type ToWorker = NonNullable<CoordinatorMessage['message']>;
export type FromWorker = NonNullable<WorkerMessage['message']>;

export interface WorkerDescription {
  /** New for each worker process. */
  readonly workerId: string;
  readonly slots: number;
  /** host:port of the exchange server. */
  readonly dataAddress: string;
  readonly httpAddress: string;
  readonly pid: number;
  readonly host: string;
}

/** The way to a worker; the session service has one per stream. */
export interface WorkerSession {
  send(message: ToWorker): void;
  /** Ends the stream; says why in its status. */
  close(reason: MillraceError): void;
}

export interface RegisteredWorker extends WorkerDescription {
  readonly registeredAtMs: number;
  readonly rssBytes: number;
  /** What the worker's last heartbeat said; undefined before the first. */
  readonly reportedFreeSlots: number | undefined;
  readonly heartbeatAgeMs: number;
}

/** Calls come in the order in which things happened; they must not throw. */
export interface WorkerListener {
  workerRegistered(worker: WorkerDescription): void;
  /** The first heartbeat, with the slots that nothing occupies; the worker can be deployed to. */
  workerReady(worker: WorkerDescription, freeSlots: number): void;
  workerLost(worker: WorkerDescription, reason: string): void;
  workerMessage(worker: WorkerDescription, message: FromWorker): void;
}

export interface WorkerRegistryOptions {
  readonly clock: Clock;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
}

interface Entry {
  readonly worker: WorkerDescription;
  readonly session: WorkerSession;
  readonly registeredAtMs: number;
  /** Monotonic. */
  lastHeartbeatMs: number;
  sequence: number;
  rssBytes: number;
  reportedFreeSlots: number | undefined;
  cancelTimer: () => void;
}

export class WorkerRegistry {
  readonly #options: WorkerRegistryOptions;
  readonly #listener: WorkerListener;
  readonly #entries = new Map<string, Entry>();

  constructor(options: WorkerRegistryOptions, listener: WorkerListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /**
   * Takes a worker in and starts to ask for its heartbeats. One that comes back under its id
   * replaces its old session, which is lost first.
   * @throws MillraceError NOT_ENOUGH_SLOTS when no further worker can be taken in
   */
  register(worker: WorkerDescription, session: WorkerSession): void {
    const { clock } = this.#options;
    const earlier = this.#entries.get(worker.workerId);
    if (earlier !== undefined) {
      this.#remove(earlier, 'it has opened another session');
    } else if (this.#entries.size >= COORDINATOR_LIMITS.workersMax) {
      throw new MillraceError(
        'NOT_ENOUGH_SLOTS',
        `the cluster has ${this.#entries.size} workers, as many as it takes; give each more slots`,
      );
    }
    const entry: Entry = {
      worker,
      session,
      registeredAtMs: clock.now(),
      lastHeartbeatMs: clock.monotonic(),
      sequence: 0,
      rssBytes: 0,
      reportedFreeSlots: undefined,
      cancelTimer: () => undefined,
    };
    this.#entries.set(worker.workerId, entry);
    this.#listener.workerRegistered(worker);
    this.#beat(entry);
  }

  /** A message of the worker's session; one of a session that was replaced or lost is ignored. */
  receive(workerId: string, session: WorkerSession, message: FromWorker): void {
    const entry = this.#entries.get(workerId);
    if (entry?.session !== session) return;
    if (message.$case !== 'heartbeat') {
      this.#listener.workerMessage(entry.worker, message);
      return;
    }
    const isFirst = entry.reportedFreeSlots === undefined;
    entry.lastHeartbeatMs = this.#options.clock.monotonic();
    entry.rssBytes = message.value.rssBytes;
    entry.reportedFreeSlots = Math.min(message.value.freeSlots, entry.worker.slots);
    if (isFirst) this.#listener.workerReady(entry.worker, entry.reportedFreeSlots);
  }

  /** The session's stream has ended; its slots are gone at once. */
  disconnected(workerId: string, session: WorkerSession, reason: string): void {
    const entry = this.#entries.get(workerId);
    if (entry?.session === session) this.#remove(entry, reason);
  }

  /** @returns false when the worker isn't here (any more) */
  send(workerId: string, message: ToWorker): boolean {
    const entry = this.#entries.get(workerId);
    if (entry === undefined) return false;
    entry.session.send(message);
    return true;
  }

  workers(): readonly RegisteredWorker[] {
    const nowMs = this.#options.clock.monotonic();
    return [...this.#entries.values()].map((entry) => ({
      ...entry.worker,
      registeredAtMs: entry.registeredAtMs,
      rssBytes: entry.rssBytes,
      reportedFreeSlots: entry.reportedFreeSlots,
      heartbeatAgeMs: nowMs - entry.lastHeartbeatMs,
    }));
  }

  /** Ends all sessions without telling the listener: the coordinator goes, not the workers. */
  close(reason: MillraceError): void {
    const entries = [...this.#entries.values()];
    // Gone before their streams end, so that their end is no loss.
    this.#entries.clear();
    for (const entry of entries) {
      entry.cancelTimer();
      entry.session.close(reason);
    }
  }

  #beat(entry: Entry): void {
    const { clock, heartbeatIntervalMs, heartbeatTimeoutMs } = this.#options;
    const silentMs = clock.monotonic() - entry.lastHeartbeatMs;
    if (silentMs >= heartbeatTimeoutMs) {
      this.#remove(entry, `no heartbeat for ${Math.round(silentMs)} ms`);
      return;
    }
    entry.cancelTimer = clock.setTimer(heartbeatIntervalMs, () => this.#beat(entry));
    entry.sequence++;
    entry.session.send({ $case: 'heartbeatRequest', value: { sequence: entry.sequence } });
  }

  #remove(entry: Entry, reason: string): void {
    entry.cancelTimer();
    this.#entries.delete(entry.worker.workerId);
    entry.session.close(
      new MillraceError(
        'WORKER_LOST',
        `the coordinator gave worker ${entry.worker.workerId} up: ${reason}; register again`,
      ),
    );
    this.#listener.workerLost(entry.worker, reason);
  }
}
