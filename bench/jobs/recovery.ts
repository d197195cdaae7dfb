/** A million keys on the heap, with checkpoints often enough that a measurement need not wait for them. */
import { rollingJob } from './rolling-state.js';

export default rollingJob('bench-recovery', 'uniform', {}, { intervalMs: 5000 });
