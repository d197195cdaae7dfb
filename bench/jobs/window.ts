/** All windows on the heap. */
import { windowJob } from './window-job.js';

export default windowJob('bench-window');
