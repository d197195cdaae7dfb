/**
 * Type tests of tables in Kafka: this file compiles only if types run from one table to another. Every
 * `@ts-expect-error` marks a line that must not compile. Nothing here runs.
 */
import { job, t, valueState } from '../../api/index.js';
import { json } from '../../connectors/formats/index.js';
import {
  changeSchema,
  upsertKafkaSink,
  upsertKafkaSource,
  type Change,
} from '../../connectors/kafka/index.js';

const Account = t.record({ balance: t.int32 });
const Key = t.record({ bank: t.string, number: t.int32 });
type Account = t.infer<typeof Account>;
type Key = t.infer<typeof Key>;
const connection = { brokers: ['kafka:9092'] };
const formats = { connection, key: json(Key), value: json(Account) };

export default job('types', {}, (env) => {
  const accounts = env.source('accounts', upsertKafkaSource({ ...formats, topics: 'accounts' }));
  // @ts-expect-error a changelog is read from its beginning
  upsertKafkaSource({ ...formats, topics: 'accounts', startFrom: 'latest' });
  // @ts-expect-error the key decides the partition
  upsertKafkaSink({ ...formats, topic: 'accounts', partitioner: () => 0 });
  // @ts-expect-error a delete has no value
  accounts.map('balance', (change) => change.value.balance, { output: t.int32 });

  const sink = upsertKafkaSink({ ...formats, topic: 'copy' });
  accounts.sinkTo('copy', sink);
  // @ts-expect-error the sink wants changes
  accounts.map('key', (change) => change.key, { output: Key }).sinkTo('keys', sink);

  accounts
    .keyBy((change) => change.key)
    .process('last', {
      state: { last: valueState(Account) },
      output: changeSchema(Key, Account),
      onElement: (change, ctx) => {
        const key: Key = change.key;
        if (change.op === 'upsert') {
          const value: Account = change.value;
          ctx.state.last.update(value);
        }
        const before = ctx.state.last.value();
        const after: Change<Key, Account> =
          before === undefined
            ? { op: 'delete', key }
            : { op: 'upsert', key, value: { balance: before.balance } };
        ctx.collect(after);
      },
    })
    .sinkTo('table', upsertKafkaSink({ ...formats, topic: 'table' }));
});
