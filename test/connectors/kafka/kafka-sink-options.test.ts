import test from 'ava';
import { raw } from '../../../connectors/formats/raw.js';
import { kafkaSink } from '../../../connectors/kafka/index.js';

test('what can be seen at submit is refused there', (t) => {
  const sink = (more: object): unknown =>
    kafkaSink({ connection: { brokers: ['a:1'] }, topic: 'x', value: raw(), ...more });
  const refused = (more: object, message: RegExp): void => {
    t.throws(() => sink(more), { message });
  };
  refused({ topic: '' }, /^PARAM_INVALID: kafkaSink: a topic has no name/);
  refused({ topic: { names: ['a', 'a'], of: () => 'a' } }, /named twice/);
  refused({ topic: 'millrace-sink-markers' }, /is for markers; name another markerTopic/);
  refused({ delivery: 'twice' }, /delivery is "twice"; give one of exactlyOnce, atLeastOnce, none/);
  refused({ transaction: 'short' }, /transaction is "short"; give one of atCheckpoint, streaming/);
  refused({ compression: 'rar' }, /compression is "rar"/);
  refused({ batchBytes: 0 }, /batchBytes is 0; give a whole number from 1/);
  refused({ tombstone: () => true }, /tombstone is given and key is not/);
  refused({ connection: { brokers: [] } }, /brokers is empty/);
});
