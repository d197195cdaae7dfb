/**
 * The campaign from Kafka to Kafka: real brokers, a cluster of real processes, kills at any time and at
 * every edge of the sink's protocol, and Kafka's own consumer as the judge. It proves itself first by a run
 * under kills that is only at least once, in which it has to see duplicates.
 */
import type { KafkaTransaction } from '../../connectors/kafka/index.js';
import { TestCluster } from '../integration/test-cluster.js';
import { KafkaService } from '../services/kafka.js';
import { SeededRandom } from '../simulation/event-loop.js';
import { planFaults, type Fault, type FaultKind } from './kafka-faults.js';
import { runUnderFaults } from './kafka-run.js';

/** Any of them makes the job go back to its last checkpoint. */
const CONTROL_FAULTS: readonly Fault[] = [
  { kind: 'worker' },
  { kind: 'coordinator' },
  { kind: 'worker' },
];
/** Brokers look that often for transactions that are open for too long, ms. */
const ABORT_INTERVAL_MS = 1_000;
/** Longer than the commit of a checkpoint may last, and than the job's sinks have patience. */
const OUTAGE_MS = 7_000;
const HEARTBEAT_FLAGS = ['--heartbeat-interval', '100', '--heartbeat-timeout', '1500'];

export interface KafkaCampaignOptions {
  /** Processes to kill, or to stop until they count as lost. */
  readonly kills: number;
  readonly seed: number;
  readonly brokers?: 1 | 3;
  /** How long all brokers are away in an outage; 7,000 unless told. */
  readonly outageMs?: number;
  /** How long the sinks' transactions are open; `atCheckpoint` unless told. */
  readonly transaction?: KafkaTransaction;
  /** Is told of every fault. */
  readonly tell?: (line: string) => void;
}

export interface KafkaCampaignReport {
  readonly kills: number;
  readonly faultsByKind: Readonly<Partial<Record<FaultKind, number>>>;
  /** Deposits in the input. */
  readonly records: number;
  /** Rows of both outputs that are not there, or not as they should be. */
  readonly lost: number;
  /** Rows that are there once too often, or should not be. */
  readonly duplicated: number;
  readonly control: { readonly duplicated: number };
  /** From a fault to the first committed output of what was written after it; an outage counts. */
  readonly recoveryMsP50: number;
  readonly recoveryMsMax: number;
}

/** @throws Error with what was waited for in vain */
export async function runKafkaCampaign({
  kills,
  seed,
  brokers = 1,
  outageMs = OUTAGE_MS,
  transaction = 'atCheckpoint',
  tell = () => undefined,
}: KafkaCampaignOptions): Promise<KafkaCampaignReport> {
  const random = new SeededRandom(seed);
  const faults = planFaults(kills, random);
  const kafka = await KafkaService.start({
    brokers,
    settings: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': ABORT_INTERVAL_MS },
  });
  try {
    // One more than the job's subtasks, so that it goes on while a worker starts.
    const cluster = await TestCluster.open({
      workers: 3,
      slots: 1,
      coordinatorFlags: HEARTBEAT_FLAGS,
    });
    try {
      const run = { kafka, brokers, outageMs, transaction, cluster, random, tell };
      const control = await runUnderFaults({
        ...run,
        name: 'control',
        delivery: 'atLeastOnce',
        faults: CONTROL_FAULTS,
      });
      tell(`control: ${control.duplicated} duplicated, ${control.lost} lost`);
      const { recoveriesMs, ...result } = await runUnderFaults({
        ...run,
        name: 'ledger',
        delivery: 'exactlyOnce',
        faults,
      });
      const sorted = [...recoveriesMs].sort((a, b) => a - b);
      return {
        ...result,
        control: { duplicated: control.duplicated },
        recoveryMsP50: sorted[sorted.length >> 1] ?? 0,
        recoveryMsMax: sorted.at(-1) ?? 0,
      };
    } finally {
      await cluster.close();
    }
  } finally {
    await kafka.stop();
  }
}
