import { status } from '@grpc/grpc-js';
import test from 'ava';
import { ERROR_CODES, MillraceError, type ErrorCode } from '../../core/errors.js';
import { errorToStatus } from '../../proto/error-status.js';
import { failureFromWire, failureToWire } from '../../proto/failure.js';
import { Failure, TaskState } from '../../proto/gen/millrace/v1/control.js';
import { jobEventFromWire } from '../../proto/job-event.js';

const attempt = { jobId: 'j', attempt: 1, epoch: 2 };

test('every error code has a gRPC status that says failure, and travels in its details', (t) => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const sent = new MillraceError(code, 'something happened; do something');
    const { code: wire, details } = errorToStatus(sent);
    t.not(wire, status.OK);
    t.is(details, `${code}: something happened; do something`);
  }
});

test('a failure survives the wire, with and without its place', (t) => {
  const located = {
    code: 'USER_CODE_FAILED',
    message: 'USER_CODE_FAILED: no',
    location: { operator: 'map', subtask: 0, worker: 'w1' },
    stack: 'at job.ts:1:1',
  } as const;
  const overWire = (failure: Failure): Failure => Failure.decode(Failure.encode(failure).finish());
  t.deepEqual(failureFromWire(overWire(failureToWire(located))), located);
  const bare = { code: 'INTERNAL', message: 'INTERNAL: no' } as const;
  t.deepEqual(failureFromWire(overWire(failureToWire(bare))), { ...bare, location: {} });
  t.is(failureFromWire({ ...failureToWire(bare), code: 'constructor' }).code, 'INTERNAL');
  t.is(failureFromWire({ ...failureToWire(bare), message: 'x'.repeat(1e6) }).message.length, 32768);
  t.is(failureFromWire(undefined).code, 'INTERNAL');
});

test('reports become events; those that make no sense become nothing', (t) => {
  const task = { vertex: 'v', subtask: 1 };
  const { TASK_STATE_DRAINED, TASK_STATE_UNSPECIFIED } = TaskState;
  t.deepEqual(
    jobEventFromWire(attempt, {
      $case: 'taskState',
      value: { attempt, task, state: TASK_STATE_DRAINED },
    }),
    { kind: 'taskState', attempt, task, state: 'DRAINED' },
  );
  const odd = { attempt, task, state: TASK_STATE_UNSPECIFIED };
  t.is(jobEventFromWire(attempt, { $case: 'taskState', value: odd }), undefined);
  const file = {
    operator: 'o',
    kind: 'keyed',
    key: 'k',
    lengthBytes: 1,
    sha256: 's',
    keyGroupStart: 0,
    keyGroupEnd: 9,
  };
  const acknowledged = { attempt, checkpointId: 3, task, files: [file], timings: undefined };
  t.like(jobEventFromWire(attempt, { $case: 'checkpointAcknowledged', value: acknowledged }), {
    kind: 'acknowledged',
    checkpointId: 3,
    files: [file],
    timings: { alignmentMs: 0 },
  });
  const unknown = { ...acknowledged, files: [{ ...file, kind: 'other' }] };
  t.is(jobEventFromWire(attempt, { $case: 'checkpointAcknowledged', value: unknown }), undefined);
  const committed = { attempt, checkpointId: 3, task: undefined };
  t.is(jobEventFromWire(attempt, { $case: 'checkpointCommitted', value: committed }), undefined);
});
