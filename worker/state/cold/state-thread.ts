/**
 * Entry of a slot's state thread: owns the one database of the slot and serves the slot's thread.
 * It ends when its owner ends it, though the slot may be gone before; it must never decide what is in
 * the database.
 */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { ColdBudget } from './cold-budget.js';
import { DatabaseServer } from './database-server.js';
import { DatabaseSignals } from './database-signals.js';
import { RocksDatabase } from './rocks-database.js';

export interface StateThreadData {
  readonly folder: string;
  readonly budget: ColdBudget;
  readonly port: MessagePort;
  readonly signals: SharedArrayBuffer;
}

const { folder, budget, port, signals } = workerData as StateThreadData;
// The slot's port goes with the slot, and would be all that keeps this thread.
parentPort?.ref();
new DatabaseServer(port, new DatabaseSignals(signals), RocksDatabase.open(folder, budget));
