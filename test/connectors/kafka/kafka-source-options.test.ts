import test from 'ava';
import { t as types } from '../../../api/schema.js';
import { jsonLines } from '../../../connectors/files/index.js';
import { json, raw } from '../../../connectors/formats/index.js';
import { kafkaSource, upsertKafkaSource } from '../../../connectors/kafka/index.js';

/** As of a job that nobody has type-checked. */
const untyped = kafkaSource as (options: unknown) => unknown;
const connection = { brokers: ['a:1'] };

const refused = test.macro((t, more: object, message: RegExp) => {
  t.throws(() => untyped({ connection, topics: 'orders', value: raw(), ...more }), { message });
});

test(
  'a name that is not known',
  refused,
  { topcs: 'x' },
  /kafkaSource: topcs is no option; did you mean topics\?/,
);
test(
  'a choice: isolation',
  refused,
  { isolation: 'readcommitted' },
  /isolation is "readcommitted"; give one of read_committed, read_uncommitted$/,
);
test(
  'a choice: poison',
  refused,
  { poison: 'drop' },
  /poison is "drop"; give one of deadLetter, fail$/,
);
test(
  'a choice: onOutOfRange',
  refused,
  { onOutOfRange: 'ignore' },
  /onOutOfRange is "ignore"; give one of fail, earliest, latest$/,
);
test(
  'a choice: tombstones',
  refused,
  { tombstones: 'drop' },
  /tombstones is "drop"; give one of skip, deadLetter$/,
);
test(
  'tombstones of an envelope',
  refused,
  { envelope: true, tombstones: 'skip' },
  /tombstones is given with envelope/,
);
test(
  'a key without an envelope',
  refused,
  { key: raw() },
  /key is given.*say envelope: true, or leave it out$/,
);
test(
  'an envelope that is no truth',
  refused,
  { envelope: 'yes' },
  /envelope is "yes"; give true or false$/,
);
test(
  'startFrom: a word',
  refused,
  { startFrom: 'earlist' },
  /startFrom is "earlist"; give 'earliest', 'latest', \{ timestamp \}/,
);
test(
  'startFrom: a time',
  refused,
  { startFrom: { timestamp: '2026-01-01' } },
  /startFrom\.timestamp is "2026-01-01"; give a whole number of ms since 1970, such as Date\.parse/,
);
test(
  'startFrom: a name in it',
  refused,
  { startFrom: { group: 'g', otherwize: 'latest' } },
  /startFrom\.otherwize is no option; did you mean otherwise\?/,
);
test(
  'startFrom: two at a time',
  refused,
  { startFrom: { timestamp: 1, offsets: {} } },
  /startFrom\.timestamp is no option; there are offsets/,
);
test(
  'boundedAt: a word',
  refused,
  { boundedAt: 'lastest' },
  /boundedAt is "lastest"; give 'latest', \{ timestamp \} or \{ offsets \}$/,
);
for (const offset of [-1, 1.5, '5', NaN]) {
  test(
    `an offset ${String(offset)} (${typeof offset})`,
    refused,
    { startFrom: { offsets: { orders: { 0: offset } } } },
    /startFrom\.offsets\.orders is record; give partitions with whole numbers from 0/,
  );
}
test(
  'offsets of no partition',
  refused,
  { boundedAt: { offsets: { orders: { first: 1 } } } },
  /boundedAt\.offsets\.orders is record; give partitions/,
);
test(
  'startFrom with a topic that is not read',
  refused,
  { startFrom: { offsets: { order: { 0: 1 } } } },
  /startFrom has offsets of topic "order", and topics are orders; correct one of them$/,
);
test(
  'boundedAt with a topic that does not match',
  refused,
  { topics: /^a/, boundedAt: { offsets: { orders: { 0: 1 } } } },
  /boundedAt has offsets of topic "orders", and topics are what matches \/\^a\/; correct/,
);
test(
  'a format whose call is forgotten',
  refused,
  { value: json },
  /value is a function; call it, as in json\(Schema\) or raw\(\)$/,
);
test(
  'a format of files',
  refused,
  { value: jsonLines(types.string) },
  /value is record; give a format of millrace\/formats: json\(Schema\)/,
);
test(
  'a schema for a format',
  refused,
  { value: types.string },
  /value is record; give a format of millrace\/formats: json\(Schema\)/,
);
test(
  'no connection',
  refused,
  { connection: undefined },
  /connection is missing; give \{ brokers, tls, sasl, clientId \}$/,
);
test('no topics', refused, { topics: undefined }, /topics is missing; give a topic's name, a list/);
test('no value', refused, { value: undefined }, /value is missing; give a format/);
test(
  'topics without a name',
  refused,
  { topics: ['a', ''] },
  /topics is a list with what is no name/,
);
test('a topic twice', refused, { topics: ['a', 'a'] }, /topics is a list that names a topic twice/);
test(
  'a pattern with a memory',
  refused,
  { topics: /a/g },
  /topics is the pattern \/a\/g, which remembers/,
);
test(
  'an interval',
  refused,
  { discoveryIntervalMs: -1 },
  /discoveryIntervalMs is -1; give a whole number of ms, or 0 for never$/,
);
test(
  'brokers as a text',
  refused,
  { connection: { brokers: 'a:1' } },
  /connection\.brokers is "a:1"; give at least one address in a list/,
);
test(
  'a broker without a port',
  refused,
  { connection: { brokers: ['a'] } },
  /connection\.brokers: "a" is not host:port; give it as "localhost:9092"$/,
);
test(
  'a name in connection',
  refused,
  { connection: { brokers: ['a:1'], clientID: 'x' } },
  /connection\.clientID is no option; did you mean clientId\?/,
);
test(
  'a name in tls',
  refused,
  { connection: { brokers: ['a:1'], tls: { cert: { env: 'X' } } } },
  /connection\.tls\.cert is no option; there are ca, certificate, key, serverName$/,
);
test(
  'tls that is none',
  refused,
  { connection: { brokers: ['a:1'], tls: 'yes' } },
  /connection\.tls is a string; give \{ ca, /,
);
test(
  'a mechanism',
  refused,
  { connection: { brokers: ['a:1'], sasl: { mechanism: 'SCRAM', password: 'hidden' } } },
  /connection\.sasl\.mechanism is "SCRAM"; give one of plain, /,
);
test(
  'a name in sasl',
  refused,
  {
    connection: {
      brokers: ['a:1'],
      sasl: { mechanism: 'plain', user: 'me', password: { env: 'X' } },
    },
  },
  /connection\.sasl\.user is no option; did you mean username\?|sasl\.user is no option; there are mechanism, username, password/,
);
test(
  'a secret in sasl',
  refused,
  { connection: { brokers: ['a:1'], sasl: { mechanism: 'oauthbearer', token: 'hidden' } } },
  /^(?!.*hidden).*connection\.sasl\.token must say where the secret is kept/,
);

test('no options at all', (t) => {
  t.throws(() => untyped(undefined), {
    message: /^PARAM_INVALID: kafkaSource: got nothing; give options: \{ connection, topics,/,
  });
});

test('a table has no beginning to choose', (t) => {
  const options = { connection, topics: 'a', key: raw(), value: raw(), startFrom: 'latest' };
  t.throws(() => upsertKafkaSource(options), {
    message:
      /^PARAM_INVALID: upsertKafkaSource: startFrom is no option; there are connection, topics, /,
  });
});

test('an option that is undefined is left out', (t) => {
  t.notThrows(() =>
    untyped({ connection, topics: 'a', value: raw(), startFrom: undefined, key: undefined }),
  );
});
