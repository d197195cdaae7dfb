/**
 * `npm run campaign:kafka-batches -- --mutations N --seed S [--json]`: reads N mutated record batches. The last
 * line with --json is the report; the exit code is 1 when anything was not an error or right.
 */
import { parseArgs } from 'node:util';
import { mutateBatches } from './kafka-batches.js';

const { values } = parseArgs({
  options: {
    mutations: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});

const report = await mutateBatches({
  mutations: Number(values.mutations),
  seed: Number(values.seed),
});
if (values.json) {
  console.log(JSON.stringify(report));
} else {
  console.log(
    `${report.mutations} mutations of seed ${report.seed}: ${report.errors} errors, ${report.right} right, ` +
      `${report.undetectable} that nothing could tell, slowest ${report.slowestMs} ms`,
  );
  for (const failure of report.failures) console.log(failure);
}
process.exitCode = report.failures.length === 0 ? 0 : 1;
