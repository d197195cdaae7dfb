/** The public door of the test kit: `import { runJob } from 'millrace/testing'`. */
export { runJob, type RunJobOptions, type RunJobResult } from './run-job.js';
