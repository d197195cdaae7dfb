import { closeSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { pino } from 'pino';
import { LOG_QUEUE_BYTES_MAX, LogDestination } from '../../process/log-destination.js';
import { ManualClock } from '../manual-clock.js';
import { smallTmpfs, tmpfsAvailability } from '../storage/small-tmpfs.js';
import { temporaryFolder } from '../temporary-folder.js';

const KIB = 1024;
const RETRY_MS = 1000;

test('lines are there at once, in order', async (t) => {
  const file = join(await temporaryFolder(t), 'log');
  const fd = openSync(file, 'a');
  t.teardown(() => closeSync(fd));
  const log = pino({ base: null, timestamp: false }, new LogDestination(fd, new ManualClock()));
  log.info('one');
  log.warn('two');
  t.is(readFileSync(file, 'utf8'), '{"level":30,"msg":"one"}\n{"level":40,"msg":"two"}\n');
});

test('a device that is always full stops nobody, and takes no more memory than it may', (t) => {
  const fd = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(fd));
  const clock = new ManualClock();
  const log = pino({}, new LogDestination(fd, clock));
  const text = 'x'.repeat(KIB);
  for (let line = 0; line < (2 * LOG_QUEUE_BYTES_MAX) / KIB; line++) log.info(text);
  clock.advance(RETRY_MS);
  log.info('still here');
  t.pass();
});

const tmpfs = tmpfsAvailability();
const onTmpfs = tmpfs.available ? test : test.skip;

onTmpfs(
  `what a full disk refused is written once there is room, and what was dropped is counted${tmpfs.available ? '' : ` (${tmpfs.reason})`}`,
  (t) => {
    const disk = smallTmpfs(t, 4 * LOG_QUEUE_BYTES_MAX);
    const fd = openSync(join(disk, 'log'), 'a');
    t.teardown(() => closeSync(fd));
    const filler = join(disk, 'filler');
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(filler, Buffer.alloc(bavail * bsize));
    const clock = new ManualClock();
    const destination = new LogDestination(fd, clock);
    const lines = (2 * LOG_QUEUE_BYTES_MAX) / KIB;
    for (let line = 0; line < lines; line++) destination.write(`${line}`.padEnd(KIB - 1) + '\n');
    clock.advance(RETRY_MS);
    t.is(readFileSync(join(disk, 'log'), 'utf8'), '');

    rmSync(filler);
    clock.advance(RETRY_MS);
    const written = readFileSync(join(disk, 'log'), 'utf8').trimEnd().split('\n');
    const last = written.pop() ?? '';
    t.deepEqual(written.map(Number), [...Array(LOG_QUEUE_BYTES_MAX / KIB).keys()]);
    t.is(last, `{"level":40,"msg":"${lines - written.length} lines of the log were dropped"}`);
  },
);
