import test from 'ava';
import { job } from '../../api/job.js';
import { t as types } from '../../api/schema.js';
import type { Source } from '../../api/source.js';
import { checkConnectors } from '../../cli/connector-check.js';
import { generatorSource } from '../../connectors/generator/generator-source.js';
import { MillraceError } from '../../core/errors.js';
import type { Transformation } from '../../api/transformation.js';

const record = types.record({ id: types.int32 });
const numbers = generatorSource({ schema: record, generate: (id) => ({ id }), count: 1 });

/** A job that reads what is given, into nowhere. */
function transformationsOf(check: Source<unknown>['check']): readonly Transformation[] {
  const source = { ...numbers, ...(check === undefined ? {} : { check }) };
  const { transformations } = job('checked', {}, (env) => {
    env.source('numbers', source).sinkTo('nowhere', {
      description: 'nowhere',
      committableSchema: record,
      createWriter: () => Promise.reject(new Error('never run')),
      createCommitter: () => Promise.reject(new Error('never run')),
    });
  }).build({});
  return [...transformations.values()];
}

test('connectors that have nothing to ask, or find all well, pass', async (t) => {
  await t.notThrowsAsync(checkConnectors(transformationsOf(undefined)));
  await t.notThrowsAsync(checkConnectors(transformationsOf(() => Promise.resolve())));
});

test('what a connector finds is told with its operator', async (t) => {
  const missing = new MillraceError('TOPIC_MISSING', 'there is no topic "a"; create it');
  await t.throwsAsync(checkConnectors(transformationsOf(() => Promise.reject(missing))), {
    message: /^TOPIC_MISSING: operator "numbers" \(.*\): there is no topic "a"; create it$/,
  });
});

test('what can only be reached from elsewhere can be left unchecked', async (t) => {
  const away = new MillraceError('BROKER_UNREACHABLE', 'nothing listens there; start it');
  await t.throwsAsync(checkConnectors(transformationsOf(() => Promise.reject(away))), {
    message: /start it; if only the workers reach it: --no-check$/,
  });
});
