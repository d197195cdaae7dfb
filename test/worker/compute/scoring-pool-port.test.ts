import { MessageChannel } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { MillraceError } from '../../../core/errors.js';
import { ScoringPool } from '../../../worker/compute/scoring-pool.js';
import { connectScoring, serveScoring } from '../../../worker/compute/scoring-pool-port.js';
import type { ScoringService } from '../../../worker/compute/scoring-service.js';
import { ask, modulePath, realClock, requestOf, transactions } from './scoring-fixture.js';

function connect(t: ExecutionContext, pool: ScoringService, inFlightMax?: number): ScoringService {
  const { port1, port2 } = new MessageChannel();
  t.teardown(() => {
    port1.close();
  });
  serveScoring(port1, pool);
  return connectScoring(port2, inFlightMax);
}

test('batches of many slots reach one pool and return to their askers', async (t) => {
  const pool = new ScoringPool({ clock: realClock, threadsMax: 2 });
  t.teardown(() => pool.close());
  const slots = [connect(t, pool), connect(t, pool), connect(t, pool)];
  const asked = slots.flatMap((slot, s) =>
    [1, 2, 3].map((n) => ask(slot, modulePath('double'), transactions(10 * s + n))),
  );
  const sizes = (await Promise.all(asked)).map((results) => results.length);
  t.deepEqual(sizes, [1, 2, 3, 11, 12, 13, 21, 22, 23]);
});

test('an error keeps its code, message and place', async (t) => {
  const failing: ScoringService = {
    score: () =>
      Promise.reject(
        new MillraceError('SCORE_FAILED', 'record 3; fix it', { location: { record: '{}' } }),
      ),
  };
  const error = await t.throwsAsync<MillraceError>(
    connect(t, failing).score(requestOf('/m.js', transactions(1))),
    { code: 'SCORE_FAILED', message: 'SCORE_FAILED: record 3; fix it' },
  );
  t.is(error.location?.record, '{}');
});

test('the chunk is moved, not copied', async (t) => {
  const echo: ScoringService = { score: ({ chunk }) => Promise.resolve(chunk) };
  const request = requestOf('/m.js', transactions(5));
  const bytes = request.chunk.slice();
  t.deepEqual(await connect(t, echo).score(request), bytes);
  t.is(request.chunk.byteLength, 0);
});

test('what is in flight is bounded, and rejected when the port closes', async (t) => {
  const { port1, port2 } = new MessageChannel();
  serveScoring(port1, { score: () => new Promise(() => undefined) });
  const service = connectScoring(port2, 2);
  const asked = [1, 2].map(() => service.score(requestOf('/m.js', transactions(1))));
  await t.throwsAsync(service.score(requestOf('/m.js', transactions(1))), { code: 'SCORE_FAILED' });
  const settled = Promise.allSettled(asked);
  port1.close();
  for (const result of await settled) {
    t.is(result.status === 'rejected' && (result.reason as MillraceError).code, 'WORKER_LOST');
  }
  await t.throwsAsync(service.score(requestOf('/m.js', [])), { code: 'WORKER_LOST' });
});
