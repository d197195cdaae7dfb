import test from 'ava';
import { reportError, userFrames } from '../../cli/error-report.js';
import { EXIT, exitCodeOf } from '../../cli/exit-code.js';
import { deserializeError, MillraceError } from '../../core/errors.js';

const quiet = { verbose: false };

test('a mistake of the user is one message without a stack trace', (t) => {
  const error = new MillraceError('USAGE', 'give a file');
  error.stack = `MillraceError: give a file\n    at plan (${new URL('../../cli/program.js', import.meta.url).pathname}:1:1)`;
  t.is(reportError(error, quiet), 'error: USAGE: give a file\n');
});

test('frames of user code are shown, those of Node, packages and the engine are not', (t) => {
  const error = deserializeError({
    code: 'USER_CODE_FAILED',
    message: 'USER_CODE_FAILED: it threw',
    stack: [
      'Error: it threw',
      '    at price (jobs/shop/price.ts:3:9)',
      '    at jobs/shop/job.ts:8:1',
      '    at run (node:internal/modules:1:1)',
      '    at pick (/home/me/node_modules/lodash/pick.js:1:1)',
      `    at build (${new URL('../../api/job.js', import.meta.url).pathname}:1:1)`,
    ].join('\n'),
  });
  t.is(
    reportError(error, quiet),
    'error: USER_CODE_FAILED: it threw\n' +
      '    at price (jobs/shop/price.ts:3:9)\n' +
      '    at jobs/shop/job.ts:8:1\n',
  );
});

test('frames of a bundle are shown by the paths of its author, generated code is not', (t) => {
  const bundle = `/data/workers/1/bundles/${'0a'.repeat(32)}`;
  const stack = [
    'Error: it threw',
    `    at score (${bundle}/lib/price.ts:3:9)`,
    '    at ChainOutput.collect (<anonymous>:8:7)',
    '    at Object.append (millrace:record-codec:35:58)',
  ].join('\n');
  t.deepEqual(userFrames(stack), ['    at score (lib/price.ts:3:9)']);
});

test('an unexpected error says that it is ours; --verbose shows stacks with their causes', (t) => {
  const error = new TypeError('x is not a function', { cause: new Error('the cause') });
  t.regex(reportError(error, quiet), /^error: INTERNAL: x is not a function; this is a fault of/);
  const verbose = reportError(error, { verbose: true });
  t.regex(verbose, /TypeError: x is not a function\n\s+at /);
  t.regex(verbose, /Error: the cause\n\s+at /);
});

test('a stack without frames has none', (t) => {
  t.deepEqual(userFrames('Error: at 3:1 something'), []);
});

test('each kind of failure has its exit code', (t) => {
  t.is(exitCodeOf(new MillraceError('USAGE', '')), EXIT.usage);
  t.is(exitCodeOf(new MillraceError('PARAM_INVALID', '')), EXIT.usage);
  t.is(exitCodeOf(new MillraceError('CLUSTER_UNREACHABLE', '')), EXIT.unreachable);
  t.is(exitCodeOf(new MillraceError('CANCELED', '')), EXIT.interrupted);
  t.is(exitCodeOf(new MillraceError('JOB_NOT_FOUND', '')), EXIT.failed);
  t.is(exitCodeOf(new Error('anything')), EXIT.failed);
});
