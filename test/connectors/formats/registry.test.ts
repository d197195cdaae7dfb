import { createServer, type OutgoingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import test, { type ExecutionContext } from 'ava';
import { t as types } from '../../../api/schema.js';
import { avro, json, protobuf, type RegistryOptions } from '../../../connectors/formats/index.js';
import type { Format, FormatContext } from '../../../connectors/formats/format.js';
import { ApicurioService, apicurioAvailability } from '../../services/apicurio.js';
import { GATE_SECRETS, RegistryGate } from '../../services/registry-gate.js';
import { temporaryFolder } from '../../temporary-folder.js';
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
    const old = avro({ avroSchema: record(ID, COUNT), registry: { url: registry.url } });
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
    const renewed = avro({ avroSchema: record(COUNT, NOTE, ID), registry: { url: registry.url } });
    t.deepEqual(await decodeOne(renewed, bytes, context), { id: 'größe', count: 7 });
    t.deepEqual(await encodeOne(renewed, { id: 'x', count: 1, note: 'n' }, context), theirs);
  });

  test('Protobuf: the message is found by its place, and none is read as another', async (t) => {
    const proto = `syntax = "proto3"; package s;
      message Other { int32 id = 1; }
      message Order { string id = 1; message Line { string item = 1; } }`;
    const context = contextOf('proto');
    const order = protobuf({ proto, message: 'Order', registry: { url: registry.url } });
    const bytes = await encodeOne(order, { id: 'a' }, context);
    // A count of 1, the index 1, then the message.
    t.is(bytes.subarray(5).toString('hex'), '02020a0161');
    t.deepEqual(await decodeOne(order, bytes, context), { id: 'a' });
    const line = protobuf({ proto, message: 'Order.Line', registry: { url: registry.url } });
    const inner = await encodeOne(line, { item: 'b' }, context);
    t.is(inner.subarray(5).toString('hex'), '0402000a0162');
    t.deepEqual(await decodeOne(line, inner, context), { item: 'b' });
    await t.throwsAsync(decodeOne(order, inner, context), {
      message: 'it holds the message s.Order.Line, not s.Order',
    });
    const first = protobuf({ proto, message: 'Other', registry: { url: registry.url } });
    t.is((await encodeOne(first, { id: 1 }, context)).subarray(5).toString('hex'), '000801');
    const changed = protobuf({
      proto: 'syntax = "proto3"; package s; message Order { int64 id = 1; }',
      message: 'Order',
      registry: { url: registry.url },
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
    const format = json(Order, { registry: { url: registry.url }, title: 'Order' });
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
    await encodeOne(
      avro({ avroSchema: record(ID), registry: { url: registry.url } }),
      { id: 'a' },
      context,
    );
    await fetch(`${registry.url}/config/strict-value`, { ...rule, headers });
    const added = avro({ avroSchema: record(ID, COUNT), registry: { url: registry.url } });
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
    await check(
      avro({ avroSchema: record(ID, NOTE), registry: { url: registry.url } }),
      context,
      'write',
    );
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
    const other = json(types.record({ id: types.string }), { registry: { url: registry.url } });
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
    const part = avro({ avroSchema: record(ID), registry: { url: registry.url } });
    await check(part, context, 'read');
    const whole = avro({
      avroSchema: record(ID, { name: 'customer', type: { ...record(ID), name: 'Customer' } }),
      registry: { url: registry.url },
    });
    await t.throwsAsync(check(whole, context, 'read'), {
      message: /field 'customer.id': the writer has no such field/,
    });
  });

  test('a registry behind TLS of an authority of its own is asked by its user, or by a token', async (t) => {
    const gate = await RegistryGate.start(registry.url, await temporaryFolder(t));
    t.teardown(() => gate.stop());
    const { authority, password, token } = gate.files;
    const { username } = GATE_SECRETS;
    const tls = { ca: { file: authority } };
    const basic = { username, password: { file: password } };
    const bearer = { token: { file: token } };
    const orderBy = (
      options: Partial<RegistryOptions>,
    ): Format<Readonly<Record<string, unknown>>> =>
      avro({ avroSchema: record(ID), registry: { url: gate.url, ...options } });
    const context = contextOf('gated');
    const bytes = await encodeOne(orderBy({ tls, auth: basic }), { id: 'a' }, context);
    const reading = orderBy({ tls, auth: bearer });
    await check(reading, context, 'read');
    await check(reading, context, 'write');
    t.deepEqual(await decodeOne(reading, bytes, context), { id: 'a' });
    const schemes = gate.requests.map(({ method, scheme }) => `${method} ${scheme}`);
    t.deepEqual(schemes, ['POST Basic', 'GET Bearer', 'POST Bearer', 'GET Bearer']);

    const told = async (
      options: Partial<RegistryOptions>,
      code: string,
      message: RegExp,
    ): Promise<void> => {
      const order = orderBy(options);
      const attempts = [
        () => check(order, context, 'read'),
        () => encodeOne(order, { id: 'a' }, context),
      ];
      for (const attempt of attempts) {
        const error = await t.throwsAsync(attempt, { code, message });
        const { url = gate.url } = options;
        t.regex(error.message, /^\w+: the schema registry .*, asked for subject gated-value, /);
        t.true(error.message.includes(url));
        t.false(/gate-|\n/.test(error.message), error.message);
      }
      await t.throwsAsync(decodeOne(order, bytes, context), {
        code,
        message: /, asked for schema \d+, /,
      });
    };
    const wrong = { username, password: { file: token } };
    await told({ tls, auth: wrong }, 'ACCESS_DENIED', /401: the login is not let in; correct/);
    await told({ tls }, 'ACCESS_DENIED', /answered 401: nobody logged in; correct registry\.auth$/);
    await told(
      { auth: basic },
      'REGISTRY_UNREACHABLE',
      /certificate that is not trusted \(.+\); give the authority as registry\.tls\.ca/,
    );
    const named = { ...tls, serverName: 'registry.example' };
    await told(
      { tls: named, auth: basic },
      'REGISTRY_UNREACHABLE',
      /as registry\.tls\.serverName$/,
    );
    await told(
      { url: gate.url.replace('https', 'http') },
      'REGISTRY_UNREACHABLE',
      /closed the connection without an answer .*begin registry\.url with https:\/\/ if it expects TLS$/,
    );
    await told(
      { url: registry.url.replace('http', 'https'), tls },
      'REGISTRY_UNREACHABLE',
      /does not speak TLS on this port .*or begin registry\.url with http:\/\/$/,
    );
    await told(
      { url: new URL('/', registry.url).href },
      'REGISTRY_UNREACHABLE',
      /answered 404 .*; correct registry\.url: its protocol, port and path$/,
    );
    const notPem = { ca: { file: token } };
    await t.throwsAsync(encodeOne(orderBy({ tls: notPem }), { id: 'a' }, context), {
      message: /^PARAM_INVALID: registry\.tls\.ca holds what is no certificate or key in PEM/,
    });
  });

  test('a registry that asks for a certificate is shown one, or told of', async (t) => {
    const gate = await RegistryGate.start(registry.url, await temporaryFolder(t), true);
    t.teardown(() => gate.stop());
    const { authority, certificate, key, token } = gate.files;
    const orderBy = (tls: RegistryOptions['tls'] & object): Format<unknown> => {
      const options = { url: gate.url, auth: { token: { file: token } }, tls };
      return avro({ avroSchema: record(ID), registry: options });
    };
    const ca = { file: authority };
    const shown = { ca, certificate: { file: certificate }, key: { file: key } };
    await t.notThrowsAsync(check(orderBy(shown), contextOf('certified'), 'read'));
    await t.throwsAsync(check(orderBy({ ca }), contextOf('certified'), 'read'), {
      code: 'REGISTRY_UNREACHABLE',
      message:
        /asked for subject certified-value, refused the TLS connection \(.+\); give what it asks for as registry\.tls\.certificate and key$/,
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

test('a registry that fails for a moment is asked again', async (t) => {
  let requests = 0;
  const url = await fakeRegistry(t, (_, response) => {
    requests++;
    if (requests < 3) response.writeHead(503).end('starting');
    else response.end('{"id":258}');
  });
  const format = avro({ avroSchema: '"string"', schema: types.string, registry: { url } });
  t.is((await encodeOne(format, 'x', contextOf('a'))).toString('hex'), '00000001020278');
  t.is(requests, 3);
});

test('each way in which a registry fails is one message with URL, subject and remedy', async (t) => {
  const told = async (registry: RegistryOptions, ends: RegExp): Promise<void> => {
    const format = avro({ avroSchema: '"string"', schema: types.string, registry });
    const error = await t.throwsAsync(encodeOne(format, 'x', contextOf('a')), {
      code: 'REGISTRY_UNREACHABLE',
      message: ends,
    });
    const asked = `the schema registry ${registry.url}, asked for subject a-value, `;
    t.true(error.message.startsWith(`REGISTRY_UNREACHABLE: ${asked}`), error.message);
    t.false(error.message.includes('\n'));
  };
  await told(
    { url: 'http://127.0.0.1:1' },
    /does not listen there \(ECONNREFUSED\); start it, or correct registry\.url$/,
  );
  await told(
    { url: 'http://no-such-host.invalid' },
    /has no such host \(\w+\); correct registry\.url$/,
  );
  const silent = await fakeRegistry(t, () => undefined);
  await told(
    { url: silent, timeoutMs: 20 },
    /gave no answer in 20 ms; see its log, or raise registry\.timeoutMs$/,
  );
  const answering = (status: number, body: string, headers: OutgoingHttpHeaders = {}) =>
    fakeRegistry(t, (_, response) => response.writeHead(status, headers).end(body));
  const html = { 'content-type': 'text/html' };
  const page = '<html><h1>It works</h1>\n<p>here</p></html>';
  await told(
    { url: await answering(200, page, html) },
    /answered 200 \(text\/html, "It works here"\); correct registry\.url: its protocol, port and path$/,
  );
  await told(
    { url: await answering(502, '<h1>Bad Gateway</h1>', html) },
    /answered 502 \(text\/html, "Bad Gateway"\); see its log, and that of what stands before it$/,
  );
  await told(
    { url: await answering(500, '{"error_code":50001,"message":"no leader"}') },
    /answered 500 \(no leader\); see its log/,
  );
  await told(
    { url: await answering(200, '{"subject":"a"}') },
    /answered 200 \(without an id\); correct registry\.url/,
  );
  // As Apicurio answers at another path than that of Confluent's interface.
  await told(
    { url: await answering(404, '{"title":"Could not find resource"}') },
    /answered 404 \(no reason given\); correct registry\.url: its protocol, port and path$/,
  );
  await told(
    { url: await answering(302, '', { location: 'https://login.example/' }) },
    /answered 302 .*, which leads to https:\/\/login\.example\/; correct registry\.url/,
  );
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
    message: /subject a-value, answered 401: the login is not let in; correct registry.auth/,
  });
  t.false(denied.message.includes('hidden'));
  await t.throwsAsync(encode({ token: { env: 'NOT_THERE' } }), { message: /NOT_THERE/ });
  await t.throwsAsync(encode({ token: { file: '/not/there' } }), { message: /\/not\/there/ });
  for (const auth of [{ token: 'hidden' }, { username: 'me', password: 'hidden' }, 'hidden']) {
    const refused = await t.throwsAsync(async () => encode(auth), { code: 'PARAM_INVALID' });
    t.false(refused.message.includes('hidden'));
  }
  for (const tls of [{ ca: 'hidden' }, { ca: { file: 'x' }, key: { env: 'hidden' } }] as object[]) {
    const options = { url: 'https://registry', tls };
    const refused = t.throws(() => avro({ avroSchema: '"string"', registry: options }), {
      message: /^PARAM_INVALID: avro: registry\.tls/,
    });
    t.false(refused.message.includes('hidden'));
  }
  const untold = { url: 'http://registry', tls: { ca: { env: 'CA' } } };
  t.throws(() => avro({ avroSchema: '"string"', registry: untold }), {
    message:
      /^PARAM_INVALID: avro: registry\.url is http:\/\/registry and its tls is set; begin it with/,
  });
  const withLogin = { url: 'http://me:hidden@registry' };
  t.throws(() => avro({ avroSchema: '"string"', schema: types.string, registry: withLogin }), {
    message: /^PARAM_INVALID: avro: registry.url holds a login; give it as registry.auth/,
  });
});
