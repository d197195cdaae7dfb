import test from 'ava';
import type { Measurement } from '../../bench/measurement.js';
import { plotsOf } from '../../bench/report/plots.js';
import { chooseRows } from '../../bench/report/result-rows.js';
import { tablesOf } from '../../bench/report/tables.js';
import { replaceReport } from '../../bench/report/write-report.js';
import type { ResultsDocument } from '../../bench/results.js';

function measured(changes: Partial<Measurement>): Measurement {
  return {
    benchmark: 'window',
    topology: '2x1',
    engine: 'millrace',
    recordsPerSecond: 2_000_000,
    recordsPerCpuSecond: 1_000_000,
    rssBytesMax: 400e6,
    foreignCores: 0.01,
    noisy: false,
    ...changes,
  };
}

function taken(day: number, measurements: readonly Measurement[]): ResultsDocument {
  return {
    takenAt: `2030-01-0${day}T00:00:00.000Z`,
    commit: `commit${day}`,
    engineVersion: '0.1.0',
    node: 'v20',
    machine: { cpu: 'a CPU', cores: 2, memoryBytes: 1, system: 'linux' },
    measurements,
  };
}

test('a row is the newest quiet run, one beside the peer before one alone', (t) => {
  const beside = taken(1, [
    measured({ ratioToFlink: 1.5 }),
    measured({ engine: 'flink', recordsPerSecond: 1_333_333 }),
  ]);
  const alone = taken(2, [measured({ recordsPerSecond: 1 })]);
  const noisy = taken(3, [measured({ noisy: true }), measured({ engine: 'flink', noisy: true })]);
  const commitOf = (...documents: ResultsDocument[]): string | undefined =>
    chooseRows(documents, ['window'])[0]?.commit;
  t.is(commitOf(beside, alone, noisy), 'commit1');
  t.is(commitOf(noisy, alone), 'commit2');
  t.is(commitOf(noisy), 'commit3');
});

test('of repetitions the median is shown, per engine', (t) => {
  const rates = [3, 1, 2].map((recordsPerSecond) => measured({ recordsPerSecond }));
  const [row] = chooseRows([taken(1, [...rates, measured({ engine: 'raw' })])], []);
  t.is(row?.engines.get('millrace')?.recordsPerSecond, 2);
  t.is(row?.engines.get('raw')?.recordsPerSecond, 2_000_000);
});

test('rows come in the order of the benchmarks, and a former name is today’s', (t) => {
  const rows = chooseRows(
    [
      taken(1, [
        measured({ benchmark: 'other' }),
        measured({ topology: '1x2' }),
        measured({}),
        measured({ benchmark: 'exchange' }),
      ]),
    ],
    ['passthrough', 'window'],
  );
  t.deepEqual(
    rows.map(({ benchmark, topology }) => `${benchmark} ${topology}`),
    ['passthrough 2x1', 'window 2x1', 'window 1x2', 'other 2x1'],
  );
});

test('the tables show both engines, figures and whether a target was met', (t) => {
  const rows = chooseRows(
    [
      taken(1, [
        measured({
          ratioToFlink: 1.5,
          ratioToFlinkPerCpu: 1.25,
          ratioToRaw: 0.5,
          target: { text: "at least 1.2 of Flink's rate", met: true, ratioToFlinkMin: 1.2 },
        }),
        measured({ engine: 'flink', recordsPerSecond: 1_333_333, foreignCores: 0.04 }),
        measured({
          benchmark: 'kafka-read',
          topology: 'JSON',
          ratioToKafkajs: 4,
          ratioToKafkajsPerCpu: 3,
        }),
        measured({
          benchmark: 'kafka-read',
          topology: 'JSON',
          engine: 'kafkajs',
          recordsPerSecond: 500_000,
          recordsPerCpuSecond: 333_333,
        }),
        {
          benchmark: 'latency',
          topology: '1x2',
          engine: 'millrace',
          foreignCores: 0,
          noisy: false,
          figures: { p99Ms: 2.345, ratePerSecond: 10_000, stateBytes: 5e6 },
          figureRatiosToFlink: { p99Ms: 0.0244 },
          target: { text: 'p99 below 2 ms', met: false },
        },
        {
          benchmark: 'latency',
          topology: '1x2',
          engine: 'flink',
          foreignCores: 0,
          noisy: false,
          figures: { p99Ms: 96 },
        },
      ]),
    ],
    ['window'],
  );
  t.is(
    tablesOf(rows),
    [
      "| benchmark | topology | records/s (per CPU second) | Flink, or kafkajs | of it (per CPU) | must reach | of raw (per CPU) | memory, Flink’s | others' cores | commit |",
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
      "| window | 2x1 | 2.00 M (1.00 M) | 1.33 M (1.00 M) | 1.50 (1.25) | at least 1.2 of Flink's rate: met | 0.50 | 400 MB, 400 MB | 0.04 | commit1, 2030-01-01 |",
      '| kafka-read | JSON | 2.00 M (1.00 M) | 0.50 M (0.33 M) | 4.00 (3.00) |  |  | 400 MB | 0.01 | commit1, 2030-01-01 |',
      '',
      "| benchmark | topology | figures | Flink | of Flink | others' cores | must reach | commit |",
      '| --- | --- | --- | --- | --- | --- | --- | --- |',
      '| latency | 1x2 | p99Ms 2.35; ratePerSecond 10000; stateBytes 5 MB | p99Ms 96 | p99Ms 0.02 | 0.00 | p99 below 2 ms: missed | commit1, 2030-01-01 |',
      '',
    ].join('\n'),
  );
});

test('plots are SVG with a facet for each benchmark that has a rate', async (t) => {
  const rows = chooseRows(
    [taken(1, [measured({}), measured({ engine: 'flink' }), measured({ benchmark: 'state' })])],
    ['window', 'state'],
  );
  const plots = await plotsOf(rows);
  t.deepEqual([...plots.keys()].sort(), [
    'memory.svg',
    'records-per-cpu-second.svg',
    'records-per-second.svg',
  ]);
  for (const svg of plots.values()) {
    t.regex(svg, /^<svg /);
    t.regex(svg, />window</);
    t.regex(svg, />state</);
  }
});

test('times and sizes beside the peer have a plot of their own, with what must be reached', async (t) => {
  const row = { benchmark: 'recovery', foreignCores: 0, noisy: false, topology: '2x1' } as const;
  const plots = await plotsOf(
    chooseRows(
      [
        taken(1, [
          {
            ...row,
            engine: 'millrace',
            figures: { firstRecordMs: 400, otherMs: 1 },
            figureRatiosToFlink: { firstRecordMs: 0.02 },
            target: { text: '', met: true, figuresMax: { firstRecordMs: 2000 } },
          },
          { ...row, engine: 'flink', figures: { firstRecordMs: 20_000 } },
        ]),
      ],
      [],
    ),
  );
  t.deepEqual([...plots.keys()], ['times-and-sizes.svg']);
  const svg = plots.get('times-and-sizes.svg') ?? '';
  t.regex(svg, />recovery firstRecordMs</);
  t.regex(svg, /bound: 2000/);
  t.notRegex(svg, /otherMs/);
});

test('costs by the number of subtasks are drawn where they were simulated', async (t) => {
  const simulated = (topology: string, subtasks: number): Measurement => ({
    benchmark: 'scale-out',
    topology,
    engine: 'millrace',
    foreignCores: 0,
    noisy: false,
    figures: { subtasks, cpuMicrosPerRecord: 1, barrierCpuMicrosPerChannel: 2 },
  });
  const measurements = [simulated('one of 8', 8), simulated('all 8, one thread', 8)];
  const plots = await plotsOf(chooseRows([taken(1, measurements)], []));
  const svg = plots.get('cost-by-subtasks.svg') ?? '';
  for (const text of ['of a record', 'of a barrier, each channel', 'one for all']) {
    t.true(svg.includes(`>${text}<`), text);
  }
});

test('the report replaces what stood between its marks, and nothing else', (t) => {
  const [begin, end] = [
    '<!-- report: written by `npm run bench -- report` -->',
    '<!-- end of report -->',
  ];
  t.is(
    replaceReport(`before\n\n${begin}\nold\n${end}\nafter\n`, 'new'),
    `before\n\n${begin}\n\nnew\n\n${end}\nafter\n`,
  );
  t.throws(() => replaceReport('no marks', 'new'), { message: /has no place/ });
});
