/**
 * `npm run bench [-- NAME...] [--seconds N] [--repeat N] [--json] [--profile]
 * [--peer flink]`: measures a real
 * cluster on this machine and keeps what it found under bench/results. `npm run bench -- report` makes
 * tables and plots of all that was kept.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { BENCHMARKS } from './benchmarks/benchmarks.js';
import { buildFlink } from './flink-build.js';
import { TOPOLOGIES, type Measurement, type Topology } from './measurement.js';
import { writeReport } from './report/write-report.js';
import { formatMeasurement, saveResults } from './results.js';
import { unlessVoid } from './unless-void.js';

const REPORT = 'report';

interface Flags {
  readonly seconds?: number;
  readonly warmUp: number;
  readonly repeat: number;
  readonly topology?: Topology;
  readonly json?: boolean;
  readonly profile?: boolean;
  readonly leak: number;
  readonly peer?: 'flink';
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('give a number above 0');
  return value;
}

async function main(): Promise<void> {
  const command = new Command('bench')
    .description(
      `Measures Millrace on this machine: ${BENCHMARKS.map(({ name, description }) => `\n  ${name.padEnd(13)} ${description}`).join('')}`,
    )
    .argument('[names...]', 'benchmarks to run, all unless named; or "report"')
    .option(
      '--seconds <n>',
      "length of the measured part; each benchmark's own unless told",
      positive,
    )
    .option('--warm-up <n>', 'seconds before it', positive, 8)
    .option('--repeat <n>', 'times each benchmark is run', positive, 1)
    .addOption(new Option('--topology <wxs>', 'workers x slots of each').choices(TOPOLOGIES))
    .addOption(
      new Option(
        '--peer <name>',
        'measure it beside us, with the same work, in the same run',
      ).choices(['flink']),
    )
    .option('--json', 'one line of JSON for each measurement')
    .option(
      '--leak <kb>',
      'plant a leak of so many KB/s in each slot: growth must be seen',
      positive,
      0,
    )
    .option('--profile', 'CPU profile of every thread, and what the time went to')
    .parse();
  const flags = command.opts<Flags>();
  const names = command.args;
  const note = (text: string): void => void process.stderr.write(`${text}\n`);
  if (names[0] === REPORT) {
    const files = await writeReport(BENCHMARKS.map(({ name }) => name));
    note(`written: ${files.join(', ')}`);
    return;
  }
  const unknown = names.find((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined) {
    command.error(
      `error: there is no benchmark "${unknown}"; give ${BENCHMARKS.map(({ name }) => name).join(', ')}`,
      { exitCode: 2 },
    );
  }
  const chosen = BENCHMARKS.filter(({ name }) => names.length === 0 || names.includes(name));
  const flink = flags.peer === 'flink' ? await buildFlink(note) : undefined;
  const measured: Measurement[] = [];
  for (let round = 0; round < flags.repeat; round++) {
    for (const benchmark of chosen) {
      const measurements = await unlessVoid(benchmark.name, note, () =>
        benchmark.run({
          seconds: flags.seconds ?? benchmark.seconds,
          warmUpSeconds: flags.warmUp,
          topologies: flags.topology === undefined ? TOPOLOGIES : [flags.topology],
          profile: flags.profile === true,
          leakBytesPerSecond: flags.leak * 1000,
          ...(flink === undefined ? {} : { flink }),
          note,
        }),
      );
      for (const measurement of measurements ?? []) {
        measured.push(measurement);
        const text =
          flags.json === true ? JSON.stringify(measurement) : formatMeasurement(measurement);
        process.stdout.write(`${text}\n`);
      }
    }
  }
  // A profiled run is slower than the truth, and a planted leak is not ours.
  if (measured.length > 0 && flags.profile !== true && flags.leak === 0) {
    note(`kept in ${await saveResults(measured)}`);
  }
  if (measured.some(({ target }) => target?.met === false)) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
