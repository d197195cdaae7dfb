/** All state on the heap. */
import { rollingJob } from './rolling-state.js';

export default rollingJob('bench-state', 'uniform');
