import test from 'ava';
import { readFileSync } from 'node:fs';
import { flinkVersionIn, javaVersionIn } from '../../bench/flink-build.js';
import { flinkConfiguration } from '../../bench/flink-configuration.js';
import {
  FLINK_CHECKPOINT,
  FLINK_JOBS,
  FLINK_LATENCY,
  FLINK_PASSTHROUGH,
  FLINK_RECOVERY,
} from '../../bench/flink-jobs.js';
import { gcPausesIn } from '../../bench/gc-log.js';

test('pauses are read from a log of Java’s collector, what ran beside the job is not', (t) => {
  const log = [
    '[1000000000ns] Using G1',
    '[2500000000ns] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 512M->12M(1024M) 3.125ms',
    '[3000000000ns] GC(1) Concurrent Mark Cycle 12.000ms',
    '[3500000000ns] GC(1) Pause Remark 14M->14M(1024M) 2ms',
  ].join('\n');
  t.deepEqual(gcPausesIn(log), [
    { atMs: 2500, durationMs: 3.125 },
    { atMs: 3500, durationMs: 2 },
  ]);
});

test('a Java that is too old is none', (t) => {
  t.is(javaVersionIn('openjdk version "17.0.15" 2025-04-15'), '17.0.15');
  t.is(javaVersionIn('openjdk version "21" 2023-09-19'), '21');
  t.is(javaVersionIn('java version "1.8.0_392"'), undefined);
  t.is(javaVersionIn(''), undefined);
});

test('Flink’s version is the one in the peer’s pom', (t) => {
  t.regex(flinkVersionIn(readFileSync('bench/peers/flink/pom.xml', 'utf8')), /^\d+\.\d+\.\d+$/);
});

test('the peer has a job for every benchmark that it is to be measured in', (t) => {
  const door = readFileSync('bench/peers/flink/src/main/java/millrace/bench/PeerJob.java', 'utf8');
  const jobs = [...door.matchAll(/case "([a-z0-9-]+)" ->/g)].map((match) => match[1]);
  const asked = [...FLINK_JOBS.values(), FLINK_PASSTHROUGH, FLINK_LATENCY, FLINK_RECOVERY];
  const names = [...asked, FLINK_CHECKPOINT].map(({ job }) => job);
  t.deepEqual([...new Set(names)].sort(), jobs.sort());
});

test('the peer keeps its defaults unless a benchmark says otherwise', (t) => {
  const ports = { rest: 1, rpc: 2 };
  const plain = flinkConfiguration({ slots: 2 }, '/folder', ports);
  t.regex(plain, /^taskmanager.numberOfTaskSlots: 2$/m);
  t.regex(plain, /^state.backend.type: hashmap$/m);
  t.regex(plain, /^restart-strategy.type: none$/m);
  t.notRegex(plain, /buffer-timeout/);
  t.regex(plain, /^taskmanager.memory.managed.size: 0$/m);
  const told = flinkConfiguration(
    { slots: 1, stateBackend: 'rocksdb', bufferTimeoutMs: 1, restarts: true },
    '/folder',
    ports,
  );
  t.regex(told, /^state.backend.type: rocksdb$/m);
  t.regex(told, /^execution.buffer-timeout.interval: 1 ms$/m);
  t.notRegex(told, /restart-strategy/);
  t.notRegex(told, /managed/);
});
