import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { AlertTail } from '../../../cli/demo/alert-tail.js';
import { jobFolder } from '../job-folder.js';

const alert = (user: string): string =>
  `${JSON.stringify({ user_id: user, severity: 'high', reasons: ['5 purchases'] })}\n`;

test('committed files are read once each, pending ones not at all', async (t) => {
  const folder = await jobFolder(t, { 'part-1.ndjson': alert('a') + alert('b') });
  await writeFile(path.join(folder, '.part-2.ndjson'), alert('c'));
  const tail = new AlertTail(folder);
  await tail.read();
  await tail.read();
  t.is(tail.count, 2);
  await rename(path.join(folder, '.part-2.ndjson'), path.join(folder, 'part-2.ndjson'));
  await tail.read();
  t.is(tail.count, 3);
  t.deepEqual(tail.latest.at(-1), { user: 'c', severity: 'high', reason: '5 purchases' });
});

test('a folder that is not there has no alerts, a broken line is no reason to fail', async (t) => {
  const folder = await jobFolder(t, { 'alerts/part-1.ndjson': 'not json\n' });
  const none = new AlertTail(path.join(folder, 'nowhere'));
  await none.read();
  t.is(none.count, 0);
  const broken = new AlertTail(path.join(folder, 'alerts'));
  await broken.read();
  t.is(broken.count, 1);
  t.deepEqual(broken.latest, []);
});
