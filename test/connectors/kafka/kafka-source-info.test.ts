import test from 'ava';
import { t as types } from '../../../api/schema.js';
import { json } from '../../../connectors/formats/json.js';
import { kafkaSource } from '../../../connectors/kafka/index.js';
import { parseSourceInfo } from '../../../connectors/kafka/kafka-source-info.js';

const value = json(types.record({ id: types.string }));

test('a source says where it reads, and where secrets are kept', (t) => {
  const connection = {
    brokers: ['localhost:9092'],
    tls: { ca: { file: '/etc/ca.pem' } },
    sasl: { mechanism: 'plain', username: 'me', password: { env: 'PASSWORD' } },
  } as const;
  const { info = '' } = kafkaSource({ connection, topics: ['a', 'b'], value, groupId: 'watchers' });
  t.deepEqual(parseSourceInfo(info), {
    connection,
    topics: ['a', 'b'],
    isolation: 'read_committed',
    groupId: 'watchers',
  });
});

test('a pattern comes back as one, and no group as none', (t) => {
  const connection = { brokers: ['localhost:9092'] };
  const { info = '' } = kafkaSource({ connection, topics: /^sales-/i, value });
  t.deepEqual(parseSourceInfo(info), {
    connection,
    topics: /^sales-/i,
    isolation: 'read_committed',
    groupId: undefined,
  });
});

test("another connector's is nobody's business, and a wrong one is named", (t) => {
  t.is(parseSourceInfo('{"connector":"files"}'), undefined);
  for (const text of ['{', '{"connector":"kafka"}', '{"connector":"kafka","connection":{}}']) {
    t.throws(() => parseSourceInfo(text), { message: /^JOB_INVALID: / });
  }
  const secretive = {
    connector: 'kafka',
    connection: { brokers: ['a:1'], sasl: { mechanism: 'plain', username: 'me', password: 'x' } },
  };
  t.throws(() => parseSourceInfo(JSON.stringify(secretive)), {
    message: /^PARAM_INVALID: connection\.sasl\.password must say/,
  });
});
