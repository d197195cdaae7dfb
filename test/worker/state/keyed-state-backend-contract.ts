/**
 * What every keyed state backend must do, as tests. A backend runs all of it by one call from its
 * own test file; it must never ask a backend for more than the interface promises.
 */
import type { CreateBackend } from './state-fixture.js';
import { restoreContract } from './restore-contract.js';
import { stateContract } from './state-contract.js';
import { timerContract } from './timer-contract.js';
import { timeToLiveContract } from './time-to-live-contract.js';

export function keyedStateBackendContract(create: CreateBackend): void {
  stateContract(create);
  timerContract(create);
  timeToLiveContract(create);
  restoreContract(create);
}
