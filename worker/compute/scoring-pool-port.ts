/**
 * Lets slot threads use the scoring pool of their worker's main thread over a MessagePort. Chunks
 * are transferred both ways and replies come in any order, matched by id. When the port closes,
 * because the slot or the worker ends, nothing is left waiting.
 */
import type { MessagePort } from 'node:worker_threads';
import {
  deserializeError,
  MillraceError,
  serializeError,
  type SerializedError,
} from '../../core/errors.js';
import { ownChunk } from './own-chunk.js';
import type { ScoringRequest, ScoringService } from './scoring-service.js';

interface PortRequest {
  readonly id: number;
  readonly request: ScoringRequest;
}

type PortReply =
  | { readonly id: number; readonly chunk: Uint8Array }
  | { readonly id: number; readonly error: SerializedError };

interface Pending {
  readonly resolve: (chunk: Uint8Array) => void;
  readonly reject: (error: MillraceError) => void;
}

/** Above what the scoring operators of one slot keep in flight together. */
export const SCORING_IN_FLIGHT_MAX = 256;

/** The main side: answers what comes through the port until it closes. */
export function serveScoring(port: MessagePort, pool: ScoringService): void {
  port.on('message', ({ id, request }: PortRequest) => {
    pool.score(request).then(
      (chunk) => {
        reply(port, { id, chunk }, [chunk.buffer as ArrayBuffer]);
      },
      (error: unknown) => {
        reply(port, { id, error: serializeError(error) }, []);
      },
    );
  });
}

function reply(port: MessagePort, message: PortReply, transfer: ArrayBuffer[]): void {
  port.postMessage(message, transfer);
}

/** The slot side. The port keeps the thread alive only while something is in flight. */
export function connectScoring(
  port: MessagePort,
  inFlightMax = SCORING_IN_FLIGHT_MAX,
): ScoringService {
  const pending = new Map<number, Pending>();
  let nextId = 0;
  let closed = false;

  const settle = (id: number): Pending | undefined => {
    const entry = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) port.unref();
    return entry;
  };
  port.on('message', (message: PortReply) => {
    const entry = settle(message.id);
    if ('chunk' in message) entry?.resolve(message.chunk);
    else entry?.reject(deserializeError(message.error));
  });
  port.on('close', () => {
    closed = true;
    for (const { reject } of pending.values()) reject(portClosed());
    pending.clear();
  });
  port.unref();

  return {
    score(request) {
      if (closed) return Promise.reject(portClosed());
      if (pending.size >= inFlightMax) return Promise.reject(tooMany(inFlightMax));
      return new Promise((resolve, reject) => {
        const id = nextId++;
        pending.set(id, { resolve, reject });
        port.ref();
        const chunk = ownChunk(request.chunk);
        port.postMessage({ id, request: { ...request, chunk } } satisfies PortRequest, [
          chunk.buffer as ArrayBuffer,
        ]);
      });
    },
  };
}

function portClosed(): MillraceError {
  return new MillraceError(
    'WORKER_LOST',
    'the scoring pool went away with its worker; the job restarts from its last checkpoint',
  );
}

function tooMany(inFlightMax: number): MillraceError {
  return new MillraceError(
    'SCORE_FAILED',
    `${String(inFlightMax)} batches of this slot are being scored already; lower the capacity of its scoring operators`,
  );
}
