import test from 'ava';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART, job, type BuiltJob } from '../../api/job.js';
import { t as types } from '../../api/schema.js';
import type { JobSettings, Source } from '../../api/source.js';
import { checkConnectors } from '../../cli/connector-check.js';
import { generatorSource } from '../../connectors/generator/generator-source.js';
import { MillraceError } from '../../core/errors.js';

const record = types.record({ id: types.int32 });
const numbers = generatorSource({ schema: record, generate: (id) => ({ id }), count: 1 });

/** A job that reads what is given, into nowhere. */
function jobWith(check: Source<unknown>['check']): BuiltJob {
  const source = { ...numbers, ...(check === undefined ? {} : { check }) };
  return job('checked', {}, (env) => {
    env.source('numbers', source).sinkTo('nowhere', {
      description: 'nowhere',
      committableSchema: record,
      createWriter: () => Promise.reject(new Error('never run')),
      createCommitter: () => Promise.reject(new Error('never run')),
    });
  }).build({});
}

test('connectors that have nothing to ask, or find all well, pass', async (t) => {
  await t.notThrowsAsync(checkConnectors(jobWith(undefined)));
  await t.notThrowsAsync(checkConnectors(jobWith(() => Promise.resolve())));
});

test('what a connector finds is told with its operator', async (t) => {
  const missing = new MillraceError('TOPIC_MISSING', 'there is no topic "a"; create it');
  await t.throwsAsync(checkConnectors(jobWith(() => Promise.reject(missing))), {
    message: /^TOPIC_MISSING: operator "numbers" \(.*\): there is no topic "a"; create it$/,
  });
});

test('what can only be reached from elsewhere can be left unchecked', async (t) => {
  const away = new MillraceError('BROKER_UNREACHABLE', 'nothing listens there; start it');
  await t.throwsAsync(checkConnectors(jobWith(() => Promise.reject(away))), {
    message: /start it; if only the workers reach it: --no-check$/,
  });
});

test('a connector is asked with what the job is set to', async (t) => {
  const asked: JobSettings[] = [];
  const built = jobWith(({ settings }) => {
    asked.push(settings);
    return Promise.resolve();
  });
  await checkConnectors(built);
  t.deepEqual(
    asked.map(({ checkpoint, restart }) => ({ checkpoint, restart })),
    [{ checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART }],
  );
});
