import test from 'ava';
import { request } from 'node:http';
import { RestClient } from '../../../api/rest/client.js';
import { isMillraceError, MillraceError } from '../../../core/errors.js';
import { startRestServer, type RestBackend } from '../../../coordinator/rest-server.js';

const accepted = {
  savepointId: 'sp-a-1',
  jobId: 'a',
  status: 'IN_PROGRESS' as const,
  failure: null,
};

function backend(overrides: Partial<RestBackend> = {}): RestBackend {
  const none = (): Promise<never> =>
    Promise.reject(new MillraceError('JOB_NOT_FOUND', 'there is no such job; see GET /v1/jobs'));
  return {
    health: () => Promise.resolve({ status: 'ok' }),
    cluster: none,
    workers: () => Promise.resolve({ workers: [] }),
    savepoints: () => Promise.resolve({ savepoints: [] }),
    disposeSavepoint: ({ savepointId }) => Promise.resolve({ savepointId }),
    uploadBundle: (_params, body) =>
      Promise.resolve({ bundleId: String(body.byteLength), jobName: 'j' }),
    submitJob: (_params, body) => Promise.resolve({ jobId: body.bundleId, jobName: 'j' }),
    jobs: () => Promise.resolve({ jobs: [] }),
    job: none,
    checkpoints: none,
    triggerSavepoint: () => Promise.resolve(accepted),
    savepoint: ({ savepointId }) => Promise.resolve({ ...accepted, savepointId }),
    stopJob: () => Promise.resolve(accepted),
    rescaleJob: ({ id }) => Promise.resolve({ jobId: id }),
    cancelJob: ({ id }) => Promise.resolve({ jobId: id }),
    ...overrides,
  };
}

const metrics = { contentType: 'text/plain', metrics: () => Promise.resolve('up 1\n') };

async function start(overrides?: Partial<RestBackend>): ReturnType<typeof startRestServer> {
  return startRestServer({ host: '127.0.0.1', port: 0 }, backend(overrides), metrics);
}

async function errorOf(promise: Promise<unknown>): Promise<MillraceError> {
  try {
    await promise;
  } catch (error) {
    if (isMillraceError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request with headers that fetch would not let us set. */
function raw(
  address: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const sent = request(
      { host, port, path, method: options.method ?? 'GET', headers: options.headers ?? {} },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (body += part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    sent.on('error', reject);
    sent.end(options.body);
  });
}

test('every call of the client reaches its route', async (t) => {
  const server = await start();
  t.teardown(() => server.close());
  const client = new RestClient({ address: server.address });
  const bundleId = 'a'.repeat(64);
  t.deepEqual(await client.workers(), { workers: [] });
  t.deepEqual(await client.jobs(), { jobs: [] });
  t.deepEqual(await client.savepoints(), { savepoints: [] });
  t.deepEqual(await client.disposeSavepoint('sp-1'), { savepointId: 'sp-1' });
  t.is((await client.uploadBundle(new Uint8Array(100_000))).bundleId, '100000');
  t.is((await client.submitJob({ bundleId, parallelism: 2 })).jobId, bundleId);
  t.is((await client.cancelJob('a b')).jobId, 'a b');
  t.deepEqual(await client.triggerSavepoint('a'), accepted);
  t.is((await client.savepoint('a', 'x')).savepointId, 'x');
  t.deepEqual(await client.stopWithSavepoint('a'), accepted);
  t.is((await raw(server.address, '/metrics')).body, 'up 1\n');
  t.is((await raw(server.address, '/health')).status, 200);
});

test('an error of the backend arrives as the error it was', async (t) => {
  const server = await start();
  t.teardown(() => server.close());
  const client = new RestClient({ address: server.address });
  const error = await errorOf(client.job('nope'));
  t.is(error.code, 'JOB_NOT_FOUND');
  t.is(error.message, 'JOB_NOT_FOUND: there is no such job; see GET /v1/jobs');
  const answer = await raw(server.address, '/v1/jobs/nope');
  t.is(answer.status, 404);
});

test('nobody there: the address and the remedy', async (t) => {
  const server = await start();
  await server.close();
  const error = await errorOf(new RestClient({ address: server.address }).jobs());
  t.is(error.code, 'CLUSTER_UNREACHABLE');
  t.regex(error.message, new RegExp(`${server.address} \\(ECONNREFUSED\\); start one with`));
});

test('a cluster that does not answer in time is unreachable', async (t) => {
  const server = await start({ jobs: () => new Promise(() => undefined) });
  t.teardown(() => server.close());
  const error = await errorOf(new RestClient({ address: server.address, timeoutMs: 50 }).jobs());
  t.is(error.code, 'CLUSTER_UNREACHABLE');
  t.regex(error.message, /no answer within 50 ms/);
});

test('an answer of another form is another version', async (t) => {
  const server = await start({ jobs: () => Promise.resolve({ jobs: [{}] }) as never });
  t.teardown(() => server.close());
  const error = await errorOf(new RestClient({ address: server.address }).jobs());
  t.is(error.code, 'VERSION_MISMATCH');
});

test('bad requests are refused in words', async (t) => {
  const server = await start();
  t.teardown(() => server.close());
  const post = (path: string, body: string, type = 'application/json'): Promise<Answer> =>
    raw(server.address, path, { method: 'POST', body, headers: { 'content-type': type } });
  const submit = await post('/v1/jobs', '{"bundleId":"short"}');
  t.is(submit.status, 400);
  t.regex(submit.body, /"code":"USAGE".*bundleId/);
  t.is((await post('/v1/jobs', '{"bundleId":"a","evil":1}')).status, 400);
  t.is((await post('/v1/jobs', '{')).status, 400);
  t.is((await post('/v1/jobs', '{"__proto__":{"x":1}}')).status, 400);
  t.is((await post('/v1/bundles', '{}')).status, 400);
  t.is((await post('/v1/jobs', '<x/>', 'application/xml')).status, 400);
  t.is((await post('/v1/jobs', ' '.repeat(100_000))).status, 413);
  t.is((await raw(server.address, '/v2/jobs')).status, 404);
});

test('another host name or origin is refused', async (t) => {
  const server = await start();
  t.teardown(() => server.close());
  const withHeaders = async (headers: Record<string, string>): Promise<number> =>
    (await raw(server.address, '/v1/jobs', { headers })).status;
  t.is(await withHeaders({ host: 'evil.example' }), 403);
  t.is(await withHeaders({ host: '127.0.0.1.evil.example:80' }), 403);
  t.is(await withHeaders({ origin: 'http://evil.example' }), 403);
  t.is(await withHeaders({ host: server.address, origin: `http://${server.address}` }), 200);
  t.is(await withHeaders({ host: 'localhost:1' }), 200);
});

test('a port in use is named, with the remedy', async (t) => {
  const server = await start();
  t.teardown(() => server.close());
  const port = Number(server.address.split(':')[1]);
  const error = await errorOf(startRestServer({ host: '127.0.0.1', port }, backend(), metrics));
  t.is(error.code, 'PORT_IN_USE');
  t.regex(error.message, new RegExp(`port ${port} .*choose another port`));
});
