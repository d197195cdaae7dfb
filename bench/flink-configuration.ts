/**
 * What a standalone Flink is told: everything is Flink's default but for what is named here. It knows
 * nothing of processes.
 */
import path from 'node:path';
import type { FlinkJobOptions } from './flink-jobs.js';

/** Of a whole process; Flink divides it up. */
const COORDINATOR_MEMORY = '1600m';
const WORKER_MEMORY = '4096m';

/** What the distribution's conf/config.yaml gives every process on Java 17. */
export const OPEN_PACKAGES = [
  ...['management/sun.management', 'rmi/sun.rmi.registry'].map((name) => `exports=java.${name}`),
  ...['api', 'file', 'parser', 'tree', 'util'].map(
    (name) => `exports=jdk.compiler/com.sun.tools.javac.${name}`,
  ),
  'exports=java.security.jgss/sun.security.krb5',
  ...[
    ...['java.lang', 'java.net', 'java.io', 'java.nio', 'sun.nio.ch', 'java.lang.reflect'],
    ...['java.text', 'java.time', 'java.util', 'java.util.concurrent'],
    ...['java.util.concurrent.atomic', 'java.util.concurrent.locks'],
  ].map((name) => `opens=java.base/${name}`),
].map((name) => `--add-${name}=ALL-UNNAMED`);

export interface FlinkSettings {
  /** Slots of each worker. */
  readonly slots: number;
  /** `hashmap` unless told. */
  readonly stateBackend?: FlinkJobOptions['stateBackend'];
  /** Flink's default of 100 unless told. */
  readonly bufferTimeoutMs?: number;
  /** Restart a job that fails, as Flink does by default; else it fails, and voids its row. */
  readonly restarts?: boolean;
}

/** The text of its config.yaml; `folder` takes all that it writes. */
export function flinkConfiguration(
  { slots, stateBackend = 'hashmap', bufferTimeoutMs, restarts = false }: FlinkSettings,
  folder: string,
  ports: { readonly rest: number; readonly rpc: number },
): string {
  const below = (name: string): string => path.join(folder, name);
  return Object.entries({
    'jobmanager.rpc.address': '127.0.0.1',
    'jobmanager.rpc.port': ports.rpc,
    'jobmanager.bind-host': '127.0.0.1',
    'jobmanager.memory.process.size': COORDINATOR_MEMORY,
    'taskmanager.host': '127.0.0.1',
    'taskmanager.bind-host': '127.0.0.1',
    'taskmanager.memory.process.size': WORKER_MEMORY,
    'taskmanager.numberOfTaskSlots': slots,
    'rest.address': '127.0.0.1',
    'rest.port': ports.rest,
    'io.tmp.dirs': below('tmp'),
    'web.upload.dir': below('jars'),
    'state.backend.type': stateBackend,
    'execution.checkpointing.incremental': true,
    'execution.checkpointing.dir': `file://${below('checkpoints')}`,
    // What would fall back to Kryo is an error instead.
    'pipeline.generic-types': false,
    // Ms for which the REST API repeats what it said of a job; 3 s would hide short ones.
    'web.refresh-interval': 500,
    // As Flink's manual has it: nothing else would use what is kept for RocksDB.
    ...(stateBackend === 'hashmap' ? { 'taskmanager.memory.managed.size': '0' } : {}),
    ...(restarts ? {} : { 'restart-strategy.type': 'none' }),
    ...(bufferTimeoutMs === undefined
      ? {}
      : { 'execution.buffer-timeout.interval': `${bufferTimeoutMs} ms` }),
  })
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}
