/**
 * `npm run campaign:kafka -- --kills N --seed S [--brokers 3] [--outage SECONDS]
 * [--sink-mode atCheckpoint|streaming] [--json]`: kills what runs a job from Kafka to Kafka. The last line with --json is the report; the exit code is 1 when a record was lost or duplicated, or the
 * control run has seen no duplicates.
 */
import { parseArgs } from 'node:util';
import { runKafkaCampaign } from './kafka.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '25' },
    seed: { type: 'string', default: '1' },
    brokers: { type: 'string', default: '1' },
    outage: { type: 'string', default: '7' },
    'sink-mode': { type: 'string', default: 'atCheckpoint' },
    json: { type: 'boolean', default: false },
  },
});

const [kills, seed] = [Number(values.kills), Number(values.seed)];
const report = await runKafkaCampaign({
  kills,
  seed,
  brokers: values.brokers === '3' ? 3 : 1,
  outageMs: Number(values.outage) * 1_000,
  transaction: values['sink-mode'] === 'streaming' ? 'streaming' : 'atCheckpoint',
  tell: (line) => console.log(line),
});
const { lost, duplicated, records, control, recoveryMsP50, recoveryMsMax } = report;
if (values.json) {
  console.log(JSON.stringify(report));
} else {
  console.log(
    `${report.kills} kills of seed ${seed}, ${records} records: ${lost} lost, ${duplicated} duplicated ` +
      `(${control.duplicated} in the control run); recovery ${recoveryMsP50} ms, at most ${recoveryMsMax} ms`,
  );
}
process.exitCode = lost === 0 && duplicated === 0 && control.duplicated > 0 ? 0 : 1;
