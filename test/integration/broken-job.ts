/**
 * Job files that are wrong in one place each: a sound job of two subtasks with an exchange, and what
 * a test puts into it. Written where the test wants them, as a user would.
 */

export interface BrokenJob {
  /** Before the job: imports and constants. */
  readonly head?: string;
  /** The source of rows; a generator of a thousand unless told. */
  readonly source?: string;
  /** Chained onto the source, as in `.map(...)`. */
  readonly before?: string;
  /** Onto the stream keyed by `key`; passes records on unless told. */
  readonly keyed?: string;
  readonly checkpoint?: string;
  /** Never restarted unless told. */
  readonly restart?: string;
  readonly name?: string;
  /** Absolute path of the output. */
  readonly output: string;
}

const GENERATOR = `generatorSource({
      schema: Row,
      count: 1000,
      splits: 2,
      generate: (seq) => ({ seq, key: 'k' + (seq % 7), at: 1_700_000_000_000 + seq }),
    })`;

export const PASS_ON = `.process('pass-on', {
      output: Row,
      onElement: (row, ctx) => ctx.collect(row),
    })`;

/** A source of the rows in a file of JSON lines. */
export function rowsOf(file: string, options = ''): string {
  return `fileSource({ path: ${JSON.stringify(file)}, format: jsonLines(Row)${options} })`;
}

export function brokenJob(broken: BrokenJob): string {
  const {
    head = '',
    source = GENERATOR,
    before = '',
    keyed = PASS_ON,
    checkpoint = 'intervalMs: 200',
    restart = "kind: 'none'",
    name = 'broken',
    output,
  } = broken;
  return `import { boundedOutOfOrderness, deadLetterSchema, job, t, valueState } from 'millrace';
import { fileSink, fileSource, jsonLines } from 'millrace/files';
import { generatorSource } from 'millrace/generator';
${head}
const Row = t.record({ seq: t.int32, key: t.string, at: t.timestamp });
const options = {
  parallelism: 2,
  checkpoint: { ${checkpoint} },
  restart: { ${restart} } as const,
};

export default job('${name}', options, (env) => {
  const rows = env.source('rows', ${source}, {
    watermarks: boundedOutOfOrderness((row) => row.at, 0),
  });
  rows.deadLetters.sinkTo(
    'write-dead-letters',
    fileSink({ path: ${JSON.stringify(`${output}/dead-letters`)}, format: jsonLines(deadLetterSchema) }),
  );
  rows${before}
    .keyBy((row) => row.key)
    ${keyed}
    .sinkTo(
      'write-rows',
      fileSink({ path: ${JSON.stringify(`${output}/rows`)}, format: jsonLines(Row) }),
    );
});
`;
}
