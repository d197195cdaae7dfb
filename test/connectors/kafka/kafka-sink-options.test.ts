import test from 'ava';
import { json, raw } from '../../../connectors/formats/index.js';
import { kafkaSink, upsertKafkaSink } from '../../../connectors/kafka/index.js';

test('what can be seen at submit is refused there', (t) => {
  const sink = (more: object): unknown =>
    kafkaSink({ connection: { brokers: ['a:1'] }, topic: 'x', value: raw(), ...more });
  const refused = (more: object, message: RegExp): void => {
    t.throws(() => sink(more), { message });
  };
  refused({ topic: '' }, /^PARAM_INVALID: kafkaSink: topic is ""; give a topic's name$/);
  refused(
    { topic: { names: [''], of: () => '' } },
    /^PARAM_INVALID: kafkaSink: topic\.names is array of 1; give a list of names$/,
  );
  refused(
    { delivry: 'none' },
    /^PARAM_INVALID: kafkaSink: delivry is no option; did you mean delivery\?$/,
  );
  refused({ topic: undefined }, /kafkaSink: topic is missing; give a topic's name$/);
  refused(
    { topic: { names: ['a'], off: () => 'a' } },
    /topic\.off is no option; there are names, of$/,
  );
  refused({ value: json }, /kafkaSink: value is a function; call it, as in json\(Schema\)/);
  refused({ connection: undefined }, /kafkaSink: connection is missing; give \{ brokers,/);
  refused(
    { key: { of: 'id', format: raw() } },
    /key\.of is "id"; give a function \(record\) => key$/,
  );
  refused({ key: { of: () => 'a', format: json } }, /key\.format is a function; call it/);
  refused({ topic: { names: ['a', 'a'], of: () => 'a' } }, /named twice/);
  refused({ topic: 'millrace-sink-markers' }, /is for markers; name another markerTopic/);
  refused({ delivery: 'twice' }, /delivery is "twice"; give one of exactlyOnce, atLeastOnce, none/);
  refused({ transaction: 'short' }, /transaction is "short"; give one of atCheckpoint, streaming/);
  refused({ compression: 'rar' }, /compression is "rar"/);
  refused({ batchBytes: 0 }, /batchBytes is 0; give a whole number from 1/);
  refused({ tombstone: () => true }, /tombstone is given and key is not/);
  refused({ connection: { brokers: [] } }, /brokers is empty/);
  t.notThrows(() => sink({ delivery: undefined, lingerMs: undefined }));
});

test('a table is written by its key alone', (t) => {
  const table = upsertKafkaSink as (options: unknown) => unknown;
  const options = { connection: { brokers: ['a:1'] }, topic: 'x', key: raw(), value: raw() };
  const refused = (more: object, message: RegExp): void => {
    t.throws(() => table({ ...options, ...more }), { message });
  };
  t.notThrows(() => table({ ...options, reduceBytes: undefined }));
  refused(
    { tombstone: () => true },
    /^PARAM_INVALID: upsertKafkaSink: tombstone is no option; there/,
  );
  refused({ key: undefined }, /^PARAM_INVALID: upsertKafkaSink: key is missing; give a format/);
  refused({ topic: { names: ['a'] } }, /^PARAM_INVALID: upsertKafkaSink: topic is record; give a/);
});
