/** Checkpoints under a sink that takes nothing: a file lets it go on. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { runMillrace } from '../cli/command-line.js';
import type { Observation } from './job-watch.js';
import { DEPOSITS, LedgerRun } from './ledger-run.js';
import { TestCluster } from './test-cluster.js';

const EXACT = { missing: 0, duplicated: 0, different: 0, disordered: 0 };

/** In the attempt that runs, barriers overtook records, which are in a completed checkpoint. */
function overtook({ job, checkpoints: { latestCompleted: latest } }: Observation): boolean {
  return latest?.attempt === job.attempt && latest.unaligned && latest.inFlightBytes > 0;
}

test.serial(
  'a held-up job completes checkpoints, survives a kill and goes on at another parallelism, exactly once',
  async (t) => {
    const cluster = await TestCluster.start(t, { workers: 3, slots: 1 });
    const gate = path.join(cluster.folder, 'gate');
    const run = await LedgerRun.submit(t, cluster, { parallelism: 2, gate });
    const first = await run.watch.until('records in flight in a checkpoint', overtook);
    const latest = first.checkpoints.latestCompleted;
    t.true(latest?.taskTimings.some(({ unaligned }) => unaligned));
    t.log(`${latest?.durationMs} ms, ${latest?.inFlightBytes} bytes in flight`);

    const busy = new Set(
      first.job.vertices.flatMap(({ subtasks }) => subtasks.map(({ workerId }) => workerId)),
    );
    const victim = cluster.cluster.workers.find(({ id }) => busy.has(id ?? ''));
    victim?.kill('SIGKILL');
    await victim?.ended;
    await cluster.cluster.addWorker();
    await run.watch.until(
      'a checkpoint with what was recovered from the first',
      (seen) => seen.job.attempt > first.job.attempt && overtook(seen),
    );

    const { jobId } = run.watch;
    const to = ['--cluster', cluster.cluster.rest];
    const listed = await runMillrace(['checkpoints', jobId, ...to]);
    t.regex(listed.stdout, /IN FLIGHT/);
    t.is((await runMillrace(['cancel', jobId, ...to])).exitCode, 0);
    const { history } = await cluster.client.checkpoints(jobId);
    const completed = history.find(({ status }) => status === 'COMPLETED');
    t.true(completed?.unaligned);
    await writeFile(gate, '');
    const resumed = await LedgerRun.submit(t, cluster, {
      parallelism: 3,
      gate,
      output: run.output,
      flags: ['--from-savepoint', `${jobId}/${completed?.checkpointId}`],
    });
    const { job } = await resumed.ended();
    t.is(job.status, 'FINISHED', JSON.stringify(job.failures));
    const { found, ...differences } = await resumed.verify();
    t.deepEqual(differences, EXACT);
    t.true(found > DEPOSITS);
  },
);
