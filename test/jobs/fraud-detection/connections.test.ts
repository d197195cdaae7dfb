import test from 'ava';
import { isJob } from '../../../api/job.js';
import fraudDetection from '../../../jobs/fraud-detection/job.js';

function operatorsOf(params: Readonly<Record<string, string>>): readonly object[] {
  if (!isJob(fraudDetection)) throw new TypeError('it is no job');
  return fraudDetection
    .build(params)
    .graph.nodes.map(({ name, kind, inputs, states }) => ({ name, kind, inputs, states }));
}

const connectorsOf = (params: Readonly<Record<string, string>>): readonly string[] =>
  fraudDetection.build(params).graph.nodes.flatMap(({ connector }) => connector ?? []);

test('the operators are the same from files and from Kafka', (t) => {
  const withoutStates = (params: Readonly<Record<string, string>>): readonly object[] =>
    operatorsOf(params).map((operator) =>
      'kind' in operator && operator.kind === 'sink' ? { ...operator, states: [] } : operator,
    );
  t.deepEqual(withoutStates({ source: 'kafka', brokers: 'a:9092' }), withoutStates({}));
});

test('topics are named by parameters', (t) => {
  const params = { source: 'kafka', brokers: 'a:1,b:2', topic: 'in', outputTopics: 'out-' };
  t.deepEqual(connectorsOf(params), [
    'Kafka in',
    'Kafka out-alerts',
    'Kafka out-revenue-per-minute',
    'Kafka out-late',
    'Kafka out-dead-letters',
  ]);
});

test('a missing or wrong broker is told when the job is built', (t) => {
  t.throws(() => operatorsOf({ source: 'kafka' }), {
    message: /^PARAM_INVALID: parameter "brokers" is missing.*--param brokers=HOST:PORT$/,
  });
  t.throws(() => operatorsOf({ source: 'kafka', brokers: 'a' }), {
    message: /^PARAM_INVALID: .*"a" is not host:port/,
  });
  t.throws(() => operatorsOf({ source: 'paper' }), {
    message: /^PARAM_INVALID: parameter "source" is "paper"; give one of files, kafka/,
  });
});
