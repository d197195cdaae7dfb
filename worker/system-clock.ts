/** The machine's clock, by the name that the worker's files know it by. */
export { systemClock } from '../process/system-clock.js';
