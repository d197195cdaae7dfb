import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import test, { type ExecutionContext } from 'ava';
import { t as types } from '../../../api/schema.js';
import { avro, json, protobuf } from '../../../connectors/formats/index.js';
import type { Format, FormatContext } from '../../../connectors/formats/format.js';
import { ApicurioService, apicurioAvailability } from '../../services/apicurio.js';
import { decodeOne, encodeOne } from './format-bytes.js';

const record = (...fields: object[]) => ({ type: 'record', name: 'Order', namespace: 's', fields });
const ID = { name: 'id', type: 'string' };
const COUNT = { name: 'count', type: 'int' };
const NOTE = { name: 'note', type: ['null', 'string'], default: null };

const found = apicurioAvailability();
if (found.available) {
  let registry: ApicurioService;
  test.before(async () => {
    registry = await ApicurioService.start();
  });
  test.after.always(() => registry?.stop());
  const client = () => new SchemaRegistry({ host: registry.url });

  test('Avro: another client reads what we write, we what it writes, resolved', async (t) => {
    const context = contextOf('avro');
    const old = avro({ avroSchema: record(ID, COUNT), registry: registry });
    const bytes = await encodeOne(old, { id: 'größe', count: 7 }, context);
    t.like(await client().decode(bytes), { id: 'größe', count: 7 });
    const added = {
      type: SchemaType.AVRO,
      schema: JSON.stringify(record(COUNT, NOTE, ID)),
    } as const;
    const { id } = await client().register(added, {
      subject: 'avro-value',
      compatibility: COMPATIBILITY.NONE,
    });
    const theirs = await client().encode(id, { id: 'x', count: 1, note: 'n' });
    t.deepEqual(await decodeOne(old, theirs, context), { id: 'x', count: 1 });
    const renewed = avro({ avroSchema: record(COUNT, NOTE, ID), registry: registry });
    t.deepEqual(await decodeOne(renewed, bytes, context), { id: 'größe', count: 7 });
    t.deepEqual(await encodeOne(renewed, { id: 'x', count: 1, note: 'n' }, context), theirs);
  });

  test('Protobuf: the message is found by its place, and none is read as another', async (t) => {
    const proto = `syntax = "proto3"; package s;
      message Other { int32 id = 1; }
      message Order { string id = 1; message Line { string item = 1; } }`;
    const context = contextOf('proto');
    const order = protobuf({ proto, message: 'Order', registry: registry });
    const bytes = await encodeOne(order, { id: 'a' }, context);
    // A count of 1, the index 1, then the message.
    t.is(bytes.subarray(5).toString('hex'), '02020a0161');
    t.deepEqual(await decodeOne(order, bytes, context), { id: 'a' });
    const line = protobuf({ proto, message: 'Order.Line', registry: registry });
    const inner = await encodeOne(line, { item: 'b' }, context);
    t.is(inner.subarray(5).toString('hex'), '0402000a0162');
    t.deepEqual(await decodeOne(line, inner, context), { item: 'b' });
    await t.throwsAsync(decodeOne(order, inner, context), {
      message: 'it holds the message s.Order.Line, not s.Order',
    });
    const first = protobuf({ proto, message: 'Other', registry: registry });
    t.is((await encodeOne(first, { id: 1 }, context)).subarray(5).toString('hex'), '000801');
    const changed = protobuf({
      proto: 'syntax = "proto3"; package s; message Order { int64 id = 1; }',
      message: 'Order',
      registry: registry,
    });
    const message = /field 'id': the writer has string as number 1, the reader int64/;
    await t.throwsAsync(decodeOne(changed, bytes, context), { message });
    await t.throwsAsync(check(changed, context, 'read'), { code: 'SCHEMA_INCOMPATIBLE', message });
    await check(order, context, 'read');
  });

  test('JSON: another client reads what we write, and checks it by the schema there', async (t) => {
    const context = contextOf('json');
    const Order = types.record({
      id: types.string,
      at: types.timestamp,
      big: types.int64,
      note: types.optional(types.string),
      shape: types.union('kind', { circle: types.record({ radius: types.float64 }) }),
    });
    const format = json(Order, { registry: registry, title: 'Order' });
    const order = {
      id: 'a',
      at: 5,
      big: 2n ** 60n,
      shape: { kind: 'circle', radius: NaN },
    } as const;
    const bytes = await encodeOne(format, order, context);
    t.deepEqual(await client().decode(bytes), {
      ...order,
      big: String(order.big),
      shape: { kind: 'circle', radius: 'NaN' },
    });
    t.deepEqual(await decodeOne(format, bytes, context), order);
    await t.throwsAsync(decodeOne(format, Buffer.from('{"id":"a"}'), context), {
      message:
        'a record of a schema registry begins with 00 and an id of 4 bytes, this one with 7b22696422',
    });
  });

  test('what the registry refuses is told at submit, with subject, version and reason', async (t) => {
    const context = contextOf('strict');
    const rule = { method: 'PUT', body: '{"compatibility":"BACKWARD"}' };
    const headers = { 'content-type': 'application/json' };
    await encodeOne(avro({ avroSchema: record(ID), registry: registry }), { id: 'a' }, context);
    await fetch(`${registry.url}/config/strict-value`, { ...rule, headers });
    const added = avro({ avroSchema: record(ID, COUNT), registry: registry });
    const refusal = {
      code: 'SCHEMA_INCOMPATIBLE',
      message:
        /^SCHEMA_INCOMPATIBLE: the schema is incompatible with version 1 of subject strict-value at http.*count/s,
    };
    await t.throwsAsync(check(added, context, 'write'), refusal);
    await t.throwsAsync(encodeOne(added, { id: 'a', count: 1 }, context), {
      code: 'SCHEMA_INCOMPATIBLE',
      message: /subject strict-value/,
    });
    await t.throwsAsync(check(added, context, 'read'), {
      code: 'SCHEMA_INCOMPATIBLE',
      message:
        /version 1 of subject strict-value.*field 'count': the writer has no such field, and it has no default/,
    });
    await check(avro({ avroSchema: record(ID, NOTE), registry: registry }), context, 'write');
    await check(added, contextOf('nobody-wrote-here'), 'read');
    await check(added, contextOf('nobody-wrote-here'), 'write');
  });

  test('a writer may be kept from registering, and ids that are not there are refused', async (t) => {
    const context = contextOf('kept');
    const options = { url: registry.url, autoRegister: false, subject: 'kept' };
    const keeping = avro({ avroSchema: record(ID), registry: options });
    const missing = {
      code: 'SCHEMA_INCOMPATIBLE',
      message:
        /subject kept at http.* does not have the schema; register it there, or allow autoRegister/,
    } as const;
    await t.throwsAsync(check(keeping, context, 'write'), missing);
    await t.throwsAsync(encodeOne(keeping, { id: 'a' }, context), missing);
    const schema = { type: SchemaType.AVRO, schema: JSON.stringify(record(ID)) } as const;
    const { id } = await client().register(schema, { subject: 'kept' });
    const bytes = await encodeOne(keeping, { id: 'a' }, context);
    t.is(bytes.readInt32BE(1), id);
    await check(keeping, context, 'write');
    const unknown = Buffer.from(bytes);
    unknown.writeInt32BE(987_654, 1);
    await t.throwsAsync(decodeOne(keeping, unknown, context), {
      message: 'the registry has no schema 987654',
    });
    const other = json(types.record({ id: types.string }), { registry: registry });
    const text = await encodeOne(other, { id: 'a' }, contextOf('kept-json'));
    await t.throwsAsync(decodeOne(keeping, text, context), {
      message: /is of type JSON, not AVRO/,
    });
  });

  test('schemas that name others are read with them', async (t) => {
    const context = contextOf('references');
    const post = async (subject: string, body: object): Promise<void> => {
      const answer = await fetch(`${registry.url}/subjects/${subject}/versions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      t.true(answer.ok, await answer.text());
    };
    await post('customer', {
      schema: JSON.stringify({ ...record({ name: 'name', type: 'string' }), name: 'Customer' }),
    });
    await post('references-value', {
      schema: JSON.stringify(record(ID, { name: 'customer', type: 's.Customer' })),
      references: [{ name: 's.Customer', subject: 'customer', version: 1 }],
    });
    const part = avro({ avroSchema: record(ID), registry: registry });
    await check(part, context, 'read');
    const whole = avro({
      avroSchema: record(ID, { name: 'customer', type: { ...record(ID), name: 'Customer' } }),
      registry: registry,
    });
    await t.throwsAsync(check(whole, context, 'read'), {
      message: /field 'customer.id': the writer has no such field/,
    });
  });
} else {
  test.skip(`Apicurio did not run: ${found.reason}`, (t) => t.pass());
}

function contextOf(topic: string): FormatContext {
  return { subject: `topic "${topic}" value`, topic, part: 'value' };
}

async function check<T>(format: Format<T>, context: FormatContext, use: 'read' | 'write') {
  await format.check?.(context, use);
}

/** A registry that answers as it is told. */
async function fakeRegistry(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a registry that fails for a moment is asked again, one that is gone is told of', async (t) => {
  let requests = 0;
  const url = await fakeRegistry(t, (_, response) => {
    requests++;
    if (requests < 3) response.writeHead(503).end('starting');
    else response.end('{"id":258}');
  });
  const format = avro({ avroSchema: '"string"', schema: types.string, registry: { url } });
  t.is((await encodeOne(format, 'x', contextOf('a'))).toString('hex'), '00000001020278');
  t.is(requests, 3);
  const gone = avro({
    avroSchema: '"string"',
    schema: types.string,
    registry: { url: 'http://127.0.0.1:1' },
  });
  await t.throwsAsync(encodeOne(gone, 'x', contextOf('a')), {
    code: 'REGISTRY_UNREACHABLE',
    message: /the schema registry http:\/\/127.0.0.1:1 can't be reached \(.+\); see its URL/,
  });
  const silent = await fakeRegistry(t, () => undefined);
  const late = avro({
    avroSchema: '"string"',
    schema: types.string,
    registry: { url: silent, timeoutMs: 20 },
  });
  await t.throwsAsync(encodeOne(late, 'x', contextOf('a')), {
    code: 'REGISTRY_UNREACHABLE',
    message: /gave no answer in 20 ms/,
  });
  const page = await fakeRegistry(t, (_, response) => response.end('<html>'));
  const wrong = avro({ avroSchema: '"string"', schema: types.string, registry: { url: page } });
  await t.throwsAsync(encodeOne(wrong, 'x', contextOf('a')), {
    message: /answered without an id/,
  });
});

test('a secret is read where it stands, and told to nobody', async (t) => {
  const url = await fakeRegistry(t, ({ headers }, response) => {
    const { authorization } = headers;
    if (authorization === `Basic ${Buffer.from('me:hidden').toString('base64')}`) {
      response.end('{"id":1}');
    } else response.writeHead(401).end(`{"message":"bad login ${authorization}"}`);
  });
  const encode = (auth: unknown) => {
    const registry = { url, auth } as Parameters<typeof avro>[0]['registry'] & object;
    return encodeOne(
      avro({ avroSchema: '"string"', schema: types.string, registry }),
      'x',
      contextOf('a'),
    );
  };
  process.env['MILLRACE_TEST_REGISTRY'] = 'hidden';
  await encode({ username: 'me', password: { env: 'MILLRACE_TEST_REGISTRY' } });
  const denied = await t.throwsAsync(encode({ token: { env: 'MILLRACE_TEST_REGISTRY' } }), {
    code: 'ACCESS_DENIED',
    message: /answered 401: the login is not let in; correct registry.auth/,
  });
  t.false(denied.message.includes('hidden'));
  await t.throwsAsync(encode({ token: { env: 'NOT_THERE' } }), { message: /NOT_THERE/ });
  await t.throwsAsync(encode({ token: { file: '/not/there' } }), { message: /\/not\/there/ });
  for (const auth of [{ token: 'hidden' }, { username: 'me', password: 'hidden' }, 'hidden']) {
    const refused = await t.throwsAsync(async () => encode(auth), { code: 'PARAM_INVALID' });
    t.false(refused.message.includes('hidden'));
  }
  const withLogin = { url: 'http://me:hidden@registry' };
  t.throws(() => avro({ avroSchema: '"string"', schema: types.string, registry: withLogin }), {
    message: /^PARAM_INVALID: registry.url holds a login; give it as registry.auth/,
  });
});
