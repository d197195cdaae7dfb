import test from 'ava';
import { t as types } from '../../../api/schema.js';
import { avro, json, protobuf } from '../../../connectors/formats/index.js';

/** As of a job that nobody has type-checked. */
const untyped = { json, avro, protobuf } as unknown as Readonly<
  Record<'json' | 'avro' | 'protobuf', (...parameters: readonly unknown[]) => unknown>
>;
const url = 'http://localhost:8081';
const proto = 'syntax = "proto3"; message M { string a = 1; }';

const refused = test.macro((t, make: () => unknown, message: string) => {
  t.throws(make, { message: `PARAM_INVALID: ${message}` });
});

test(
  'json without a schema',
  refused,
  () => untyped.json(),
  'json: schema is missing; give a schema, such as t.record({ id: t.string })',
);
test(
  'json of an example',
  refused,
  () => untyped.json({ kind: 'record' }),
  'json: schema is record; give a schema, such as t.record({ id: t.string })',
);
test(
  'json: a name',
  refused,
  () => untyped.json(types.string, { titel: 'X' }),
  'json: titel is no option; did you mean title?',
);
test(
  'json: a registry by its address',
  refused,
  () => untyped.json(types.string, { registry: url }),
  'json: registry is a string; give { url, auth, tls, subject, autoRegister, timeoutMs }',
);
test(
  'avro: a name',
  refused,
  () => untyped.avro({ avroSchma: '"string"' }),
  'avro: avroSchma is no option; did you mean avroSchema?',
);
test(
  'avro: a name in registry',
  refused,
  () => untyped.avro({ avroSchema: '"string"', registry: { url, autoregister: false } }),
  'avro: registry.autoregister is no option; did you mean autoRegister?',
);
test(
  'avro: a choice in registry',
  refused,
  () => untyped.avro({ avroSchema: '"string"', registry: { url, autoRegister: 'no' } }),
  'avro: registry.autoRegister is "no"; give true or false',
);
test(
  'avro: a name in auth',
  refused,
  () => untyped.avro({ avroSchema: '"string"', registry: { url, auth: { user: 'me' } } }),
  'avro: registry.auth.user is no option; there are username, password',
);
test(
  'avro: references',
  refused,
  () => untyped.avro({ avroSchema: '"string"', registry: { url, references: [] } }),
  'avro: registry.references is no option; there are url, auth, tls, subject, autoRegister, timeoutMs',
);
test(
  'protobuf: no message',
  refused,
  () => untyped.protobuf({ proto }),
  'protobuf: message is missing; give the name of a message of the file',
);
test(
  'protobuf: a registry without its address',
  refused,
  () => untyped.protobuf({ proto, message: 'M', registry: {} }),
  'protobuf: registry.url is missing; give one that begins with http(s)://',
);

test('what fits is taken', (t) => {
  t.notThrows(() => json(types.string, { registry: { url, timeoutMs: 100, autoRegister: false } }));
  t.notThrows(() => protobuf({ proto, message: 'M', registry: { url, references: [] } }));
});
