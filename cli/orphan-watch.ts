/**
 * A thread that ends its process when the process that started it is gone: the last guard against
 * user code that loops forever while the command that runs it was killed.
 */
import { workerData } from 'node:worker_threads';

const CHECK_INTERVAL_MS = 500;

const parent: unknown = workerData;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, CHECK_INTERVAL_MS);
