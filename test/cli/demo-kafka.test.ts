/** The demo from Kafka to Kafka as users run it, and what it says where it can't run. */
import { symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { kafkaAvailability } from '../services/kafka-installation.js';
import { temporaryFolder } from '../temporary-folder.js';
import { runMillrace } from './command-line.js';
import { processesNaming } from './processes.js';

const found = kafkaAvailability();
const testDemo = found.available ? test.serial : test.serial.skip;

testDemo(
  'a demo on Kafka with a killed worker ends exactly right, and leaves no process',
  async (t) => {
    const data = await temporaryFolder(t);
    const flags = ['--kafka', '--transactions', '30000', '--kill-worker', '--json', '--data', data];
    const { exitCode, stdout, stderr } = await runMillrace(['demo', ...flags]);
    t.is(exitCode, 0, stderr);
    const summary = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    t.like(summary, {
      transactions: 30_000,
      killed: true,
      missing: 0,
      duplicated: 0,
      different: 0,
    });
    t.true(Number(summary['alerts']) > 0);
    t.true(Number(summary['restarts']) >= 1);
    t.deepEqual(await processesNaming(data), []);
    await t.throwsAsync(once(connect(portOf(summary['broker']), '127.0.0.1'), 'connect'), {
      code: 'ECONNREFUSED',
    });
  },
);

testDemo('a broker that is not there is named', async (t) => {
  const data = await temporaryFolder(t);
  const flags = ['--kafka', '127.0.0.1:1', '--transactions', '1000', '--data', data];
  const { exitCode, stderr } = await runMillrace(['demo', ...flags]);
  t.is(exitCode, 1);
  t.regex(stderr, /BROKER_UNREACHABLE: Kafka broker 127\.0\.0\.1:1: nothing listens there/);
  t.deepEqual(await processesNaming(data), []);
});

test.serial('what is missing for a broker is said, and nothing is started', async (t) => {
  const folder = await temporaryFolder(t);
  // No Maven on the PATH, and nothing that it brought before.
  await symlink('/bin/sh', join(folder, 'sh'));
  const env = { PATH: folder, XDG_CACHE_HOME: folder };
  const { exitCode, stderr } = await runMillrace(['demo', '--kafka', '--data', folder], { env });
  t.is(exitCode, 1);
  t.regex(stderr, /BROKER_UNREACHABLE: the demo can't .*(no JDK 17|no java or no mvn)/);
  t.deepEqual(await processesNaming(folder), []);
});

function portOf(address: unknown): number {
  return Number(String(address).split(':')[1]);
}
