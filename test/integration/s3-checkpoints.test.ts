import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import test from 'ava';
import { FaultyProxy } from '../services/faulty-proxy.js';
import { S3_SECRET_KEY, VersitygwService, versitygwAvailability } from '../services/versitygw.js';
import { eventually } from './eventually.js';
import { DEPOSITS, LedgerRun } from './ledger-run.js';
import { randomOf, SEED } from './seed.js';
import { TestCluster } from './test-cluster.js';

const EXACT = { missing: 0, duplicated: 0, different: 0, disordered: 0 };
const KILLS = 2;
/** As the ledger job says. */
const RETAINED = 3;

function testOnVersitygw(): void {
  let service: VersitygwService;
  test.before(async () => {
    service = await VersitygwService.start();
  });
  test.after.always(() => service.stop());

  const objectKeys = async (prefix: string): Promise<readonly string[]> => {
    const command = new ListObjectsV2Command({ Bucket: service.bucket, Prefix: prefix });
    const { Contents = [] } = await service.client.send(command);
    return Contents.map(({ Key = '' }) => Key);
  };

  test(`exactly once: checkpoints on a faulty S3, workers killed (MILLRACE_SEED=${SEED})`, async (t) => {
    const random = randomOf('checkpoints on S3');
    const proxy = await FaultyProxy.start(service.endpoint);
    t.teardown(() => proxy.stop());
    const cluster = await TestCluster.start(t, {
      workers: 2,
      slots: 1,
      checkpointStorage: service.location('team/cluster', proxy.endpoint),
    });
    proxy.plan = () =>
      random.chance(0.95)
        ? undefined
        : random.pick([
            { kind: 'refused', status: 503, code: 'SlowDown' },
            { kind: 'reset' },
            { kind: 'answerLost' },
          ]);
    const submittedAtMs = Date.now();
    const run = await LedgerRun.submit(t, cluster, { parallelism: 2 });
    await run.beginning(submittedAtMs);
    const jobPrefix = `team/cluster/jobs/${run.watch.jobId}/`;
    // As if a writer had died in the middle of a large file.
    const abandoned = { Bucket: service.bucket, Key: `${jobPrefix}chk-1/abandoned` };
    await service.client.send(new CreateMultipartUploadCommand(abandoned));
    for (let kill = 0; kill < KILLS; kill += 1) {
      // At its full parallelism each worker has a part of it, so that any kill is felt.
      await run.watch.until('two checkpoints of an attempt on all workers', (seen) => {
        const { attempt, status, vertices } = seen.job;
        const completed = seen.checkpoints.history.filter(
          (checkpoint) => checkpoint.attempt === attempt && checkpoint.status === 'COMPLETED',
        );
        const busy = new Set(
          vertices.flatMap((vertex) => vertex.subtasks.map((one) => one.workerId)),
        );
        const all = cluster.cluster.workers.every(({ id }) => busy.has(id ?? ''));
        return status === 'RUNNING' && all && completed.length >= 2;
      });
      const victim = random.pick(cluster.cluster.workers);
      victim.kill('SIGKILL');
      await victim.ended;
      await cluster.cluster.addWorker();
      await run.watch.until('the restart', ({ job }) => job.restarts > kill);
    }
    const { job } = await run.ended();
    t.is(job.status, 'FINISHED', JSON.stringify(job.failures));
    t.true(job.restarts >= KILLS);
    const { found, ...differences } = await run.verify();
    t.deepEqual(differences, EXACT);
    t.true(found > DEPOSITS);
    t.true(proxy.faults > 0, 'calls were spoiled');
    t.log(`${proxy.faults} calls spoiled, ${run.watch.checkpointsCompleted} checkpoints seen`);

    let left: readonly string[] = [];
    const idOf = (key: string): string => key.slice(jobPrefix.length).split('/')[0] ?? '';
    await eventually(
      () => `nothing but ${RETAINED} checkpoints, in place of ${left.join(' ')}`,
      async () => {
        left = await objectKeys(jobPrefix);
        const complete = new Set(left.filter((key) => key.endsWith('/manifest.json')).map(idOf));
        // What a worker had sent when it was killed may arrive after its checkpoint was discarded.
        const late = new Set(left.map(idOf).filter((id) => !complete.has(id)));
        return (complete.size > 0 && complete.size <= RETAINED && late.size <= KILLS) || undefined;
      },
    );
    const uploads = new ListMultipartUploadsCommand({ Bucket: service.bucket });
    t.deepEqual((await service.client.send(uploads)).Uploads ?? [], []);
    const data = path.join(cluster.folder, 'data');
    t.false(existsSync(path.join(data, 'blobs')), 'nothing is kept on this machine');
    const logs = path.join(data, 'logs');
    for (const name of readdirSync(logs)) {
      t.false(readFileSync(path.join(logs, name), 'utf8').includes(S3_SECRET_KEY), name);
    }
  });
}

const availability = versitygwAvailability();
if (availability.available) testOnVersitygw();
else test.skip(`checkpoints on S3: ${availability.reason}`, (t) => t.pass());
