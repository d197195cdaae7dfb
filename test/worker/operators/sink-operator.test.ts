import test from 'ava';
import {
  MillraceError,
  t as types,
  unregisteredMetrics,
  type Committer,
  type Sink,
  type SinkContext,
  type SinkWriter,
} from '../../../api/index.js';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../../api/job.js';
import type { PendingCommittable } from '../../../worker/operators/operator-state.js';
import { SinkOperator } from '../../../worker/operators/sink-operator.js';
import { ManualClock } from '../../manual-clock.js';

/** A sink that writes down every call. */
class RecordedSink implements Sink<unknown, unknown> {
  readonly description = 'recorded';
  readonly committableSchema = types.string;
  readonly calls: string[] = [];
  /** What the writer was told of. */
  readonly committed: unknown[] = [];
  failCommit = false;
  /** What `prepareCommit` waits for, by checkpoint. */
  readonly preparing = new Map<number, Promise<void>>();
  #epoch: unknown[] = [];

  createWriter(): Promise<SinkWriter<unknown, unknown>> {
    return Promise.resolve({
      write: (record) => {
        this.#epoch.push(record);
      },
      whenWritable: () => undefined,
      prepareCommit: async (checkpointId) => {
        const epoch = this.#epoch;
        this.#epoch = [];
        await this.preparing.get(checkpointId);
        return epoch.length === 0 ? [] : [`${checkpointId}:${epoch.join('+')}`];
      },
      notifyCommitted: (committables) => {
        this.committed.push(...committables);
      },
      close: () => Promise.resolve(),
    });
  }

  createCommitter(): Promise<Committer<unknown>> {
    return Promise.resolve({
      commit: (committables) => {
        if (this.failCommit) return Promise.reject(new Error('the disk is gone'));
        this.calls.push(`commit ${committables.join(' ')}`);
        return Promise.resolve();
      },
      recover: (pending) => {
        this.calls.push(`recover ${pending.join(' ')}`.trimEnd());
        return Promise.resolve();
      },
      discard: (orphans) => {
        this.calls.push(`discard ${orphans.join(' ')}`);
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    });
  }
}

async function open(
  sink: RecordedSink,
  restored?: readonly PendingCommittable[],
): Promise<SinkOperator> {
  const operator = new SinkOperator({
    name: 'out',
    sink,
    context: contextOf(1),
    restored,
  });
  await operator.open();
  return operator;
}

function contextOf(attempt: number): SinkContext {
  const clock = new ManualClock();
  const settings = { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART };
  return {
    operator: 'out',
    subtask: 0,
    parallelism: 1,
    clock,
    metrics: unregisteredMetrics,
    jobId: 'job',
    attempt,
    settings,
  };
}

async function entriesOf(
  operator: SinkOperator,
  checkpointId: number,
): Promise<readonly PendingCommittable[]> {
  return (await operator.snapshot(checkpointId).operator?.entries) as readonly PendingCommittable[];
}

test('an epoch is committed only when its checkpoint is complete', async (t) => {
  const sink = new RecordedSink();
  const operator = await open(sink);
  operator.processElement('a', 0);
  t.deepEqual(await entriesOf(operator, 1), [{ checkpointId: 1, committable: '1:a' }]);
  operator.processElement('b', 0);
  t.deepEqual(sink.calls, []);
  t.deepEqual(sink.committed, []);
  await operator.notifyCheckpointComplete(1);
  t.deepEqual(sink.calls, ['commit 1:a']);
  t.deepEqual(sink.committed, ['1:a']);
});

test('the epoch of an aborted checkpoint is committed with the next one', async (t) => {
  const sink = new RecordedSink();
  const operator = await open(sink);
  operator.processElement('a', 0);
  await entriesOf(operator, 1);
  operator.processElement('b', 0);
  t.deepEqual(
    (await entriesOf(operator, 2)).map(({ committable }) => committable),
    ['1:a', '2:b'],
  );
  await operator.notifyCheckpointComplete(2);
  t.deepEqual(sink.calls, ['commit 1:a 2:b']);
});

test('what was prepared for an aborted checkpoint is discarded when its subtask ends', async (t) => {
  const sink = new RecordedSink();
  const operator = await open(sink);
  for (const checkpointId of [1, 2, 3]) {
    operator.processElement(`r${checkpointId}`, 0);
    await entriesOf(operator, checkpointId);
    if (checkpointId === 1) await operator.notifyCheckpointComplete(1);
    else operator.notifyCheckpointAborted(checkpointId);
  }
  await operator.close();
  t.deepEqual(sink.calls, ['commit 1:r1', 'discard 2:r2 3:r3']);
});

test('what may be in a complete checkpoint is kept when its subtask ends, whoever was told', async (t) => {
  const untold = new RecordedSink();
  const operator = await open(untold);
  for (const checkpointId of [1, 2, 3]) {
    operator.processElement(`r${checkpointId}`, 0);
    await entriesOf(operator, checkpointId);
    // The next one holds the epoch as well.
    if (checkpointId === 1) operator.notifyCheckpointAborted(1);
  }
  operator.notifyCheckpointAborted(3);
  await operator.close();
  t.deepEqual(untold.calls, ['discard 3:r3']);

  const broken = new RecordedSink();
  broken.failCommit = true;
  const pending = [{ checkpointId: 7, committable: '7:a' }];
  const restored = new SinkOperator({
    name: 'out',
    sink: broken,
    context: contextOf(2),
    restored: pending,
  });
  await t.throwsAsync(restored.open());
  await restored.close();
  t.deepEqual(broken.calls, []);
});

test('an epoch that is still being prepared when the next is cut rides with it', async (t) => {
  const sink = new RecordedSink();
  const operator = await open(sink);
  let release: () => void = () => undefined;
  sink.preparing.set(1, new Promise((resolve) => (release = resolve)));
  operator.processElement('a', 0);
  const first = entriesOf(operator, 1);
  operator.processElement('b', 0);
  const second = entriesOf(operator, 2);
  release();
  t.deepEqual(
    (await second).map(({ committable }) => committable),
    ['1:a', '2:b'],
  );
  t.deepEqual(await first, [{ checkpointId: 1, committable: '1:a' }]);
});

test('after an epoch that could not be prepared no later checkpoint is taken without it', async (t) => {
  const sink = new RecordedSink();
  const operator = await open(sink);
  sink.preparing.set(1, Promise.reject(new Error('the disk is full')));
  operator.processElement('a', 0);
  await t.throwsAsync(entriesOf(operator, 1), { message: 'the disk is full' });
  operator.processElement('b', 0);
  await t.throwsAsync(entriesOf(operator, 2), { message: 'the disk is full' });
});

test('a later epoch waits for its own checkpoint', async (t) => {
  const sink = new RecordedSink();
  const operator = await open(sink);
  operator.processElement('a', 0);
  await entriesOf(operator, 1);
  operator.processElement('b', 0);
  await entriesOf(operator, 2);
  await operator.notifyCheckpointComplete(1);
  await operator.notifyCheckpointComplete(1);
  t.deepEqual(sink.calls, ['commit 1:a']);
});

test('after a restore the checkpoint’s committables are committed again before any record', async (t) => {
  const sink = new RecordedSink();
  await open(sink, [{ checkpointId: 3, committable: '3:x' }]);
  t.deepEqual(sink.calls, ['commit 3:x', 'recover 3:x']);
});

test('a commit that fails is an error that names the sink', async (t) => {
  const sink = new RecordedSink();
  const operator = await open(sink);
  operator.processElement('a', 0);
  await entriesOf(operator, 1);
  sink.failCommit = true;
  const error = await t.throwsAsync(operator.notifyCheckpointComplete(1), {
    instanceOf: MillraceError,
  });
  t.is(error?.message, 'OUTPUT_FAILED: sink "out": the disk is gone');
});

test('what a connector knows by its code is told with the operator, too', async (t) => {
  const missing = new MillraceError('TOPIC_MISSING', 'there is no topic "a"; create it');
  class Missing extends RecordedSink {
    override createWriter(): Promise<never> {
      return Promise.reject(missing);
    }
  }
  const error = await t.throwsAsync<MillraceError>(open(new Missing()), {
    message: missing.message,
  });
  t.deepEqual(error?.location, { operator: 'out' });
});
