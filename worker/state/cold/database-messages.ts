/**
 * What a slot's thread and its state thread say to each other: requests and answers over a
 * MessagePort, with keys and rows as packed lists in transferred memory, and a few shared numbers
 * (database-signals.ts) that the slot's thread can wait on.
 */
import type { MessagePort } from 'node:worker_threads';
import { MillraceError, type SerializedError } from '../../../core/errors.js';
import type { DatabaseStatistics, WalkOptions } from './cold-database.js';

/** Fire-and-forget: done in order of their sequence numbers (32 bits, wrapping). */
export type WriteRequest =
  | {
      readonly kind: 'write';
      readonly sequence: number;
      /** Key, value, key, value, ...; an absent value deletes. */
      readonly rows: Uint8Array;
    }
  | {
      readonly kind: 'deleteRange';
      readonly sequence: number;
      readonly from: Uint8Array;
      readonly to: Uint8Array;
      readonly rowsMax: number;
    };

export type ReadRequest =
  | { readonly kind: 'getMany'; readonly keys: Uint8Array }
  | {
      readonly kind: 'page';
      readonly from: Uint8Array;
      readonly to: Uint8Array;
      readonly rowsMax: number;
    }
  | { readonly kind: 'approximateBytes'; readonly from: Uint8Array; readonly to: Uint8Array }
  | { readonly kind: 'statistics' };

/** In order with the writes, but answered. */
export interface WalkRequest extends WalkOptions {
  readonly kind: 'walk';
  readonly id: number;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

export type DatabaseRequest =
  | WriteRequest
  | WalkRequest
  | {
      readonly kind: 'read';
      readonly id: number;
      /** Sequence number of the last write that the read must see. */
      readonly after: number;
      readonly read: ReadRequest;
    };

export type DatabaseAnswer =
  | { readonly id: number; readonly kind: 'error'; readonly error: SerializedError }
  /** Values, or keys and values in turn. */
  | { readonly id: number; readonly kind: 'packed'; readonly bytes: Uint8Array; more: boolean }
  | {
      readonly id: number;
      readonly kind: 'walked';
      readonly next: Uint8Array | undefined;
      readonly removed: number;
      readonly removedThings: number;
      readonly hashes: Uint32Array;
    }
  | { readonly id: number; readonly kind: 'size'; readonly bytes: number }
  | {
      readonly id: number;
      readonly kind: 'statistics';
      readonly statistics: DatabaseStatistics;
    };

/** How a slot's thread reaches its state thread; the port is to be transferred. */
export interface DatabaseConnection {
  readonly port: MessagePort;
  readonly signals: SharedArrayBuffer;
  /** For messages. */
  readonly folder: string;
}

/** @param why what is known of it, in brackets */
export function stateThreadLost(folder: string, why = ''): MillraceError {
  return new MillraceError(
    'STORAGE_UNAVAILABLE',
    `the state thread of ${folder} ended by itself${why}; the job goes on from its latest checkpoint`,
  );
}
