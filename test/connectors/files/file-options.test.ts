import test from 'ava';
import { t as types } from '../../../api/schema.js';
import { csv, fileSink, fileSource, jsonLines } from '../../../connectors/files/index.js';
import { json } from '../../../connectors/formats/index.js';

/** As of a job that nobody has type-checked. */
type Untyped = (...parameters: readonly unknown[]) => unknown;
const [source, sink, csvOf, linesOf] = [fileSource, fileSink, csv, jsonLines] as unknown as [
  Untyped,
  Untyped,
  Untyped,
  Untyped,
];
const Row = types.record({ id: types.string });
const format = jsonLines(Row);

const refused = test.macro((t, make: () => unknown, message: RegExp) => {
  t.throws(make, { message });
});

test(
  'source: a name',
  refused,
  () => source({ path: 'a', format, folow: true }),
  /^PARAM_INVALID: fileSource: folow is no option; did you mean follow\?$/,
);
test(
  'source: no path',
  refused,
  () => source({ format }),
  /^PARAM_INVALID: fileSource: path is missing; give a file, a directory, or a pattern/,
);
test(
  'source: a choice',
  refused,
  () => source({ path: 'a', format, follow: 'yes' }),
  /^PARAM_INVALID: fileSource: follow is "yes"; give true or false$/,
);
test(
  'source: a format whose call is forgotten',
  refused,
  () => source({ path: 'a', format: jsonLines }),
  /^PARAM_INVALID: fileSource: format is a function; call it, as in jsonLines\(Schema\)$/,
);
test(
  'source: a format that can only be written',
  refused,
  () => source({ path: 'a', format: jsonLines() }),
  /^PARAM_INVALID: fileSource: format is record; give a format of millrace\/files: jsonLines/,
);
test(
  'sink: a format of messages',
  refused,
  () => sink({ path: 'a', format: json(Row) }),
  /^PARAM_INVALID: fileSink: format is record; give a format of millrace\/files: jsonLines/,
);
test(
  'sink: a name',
  refused,
  () => sink({ path: 'a', format, rollbytes: 1 }),
  /^PARAM_INVALID: fileSink: rollbytes is no option; did you mean rollBytes\?$/,
);
test(
  'csv: a schema without columns',
  refused,
  () => csvOf(types.string),
  /^PARAM_INVALID: csv: schema is record; give a schema of records: t\.record/,
);
test(
  'csv: a name',
  refused,
  () => csvOf(Row, { separator: ';' }),
  /^PARAM_INVALID: csv: separator is no option; there are header, delimiter$/,
);
test(
  'jsonLines: no schema',
  refused,
  () => linesOf({ id: 'text' }),
  /^PARAM_INVALID: jsonLines: schema is record; give a schema, such as/,
);
