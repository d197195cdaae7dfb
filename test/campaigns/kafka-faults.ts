/**
 * Which faults strike in a campaign, and in which order: every kind at every edge of the sink's protocol
 * that makes a difference, dealt like cards until there are enough. The seed alone decides.
 */
import type { SeededRandom } from '../simulation/event-loop.js';

/**
 * SIGKILL of a worker, of the coordinator or of a broker; a worker stopped until it counts as lost, which
 * then goes on; all brokers away for longer than the transaction timeout and the sink's patience.
 */
export const FAULT_KINDS = ['worker', 'coordinator', 'broker', 'zombie', 'outage'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Where a worker is held while the fault strikes, as the job's failpoints name it. */
export type Edge =
  | 'before-fence'
  | 'after-fence'
  | 'before-transaction'
  | 'before-produce'
  | 'after-produce'
  | 'before-end'
  | 'after-end';

export interface Fault {
  readonly kind: FaultKind;
  /** Left out: at any time. */
  readonly edge?: Edge;
}

/** Only a subtask that starts comes to these. */
export const FENCE_EDGES: readonly Edge[] = ['before-fence', 'after-fence'];

const EDGES: Readonly<Record<FaultKind, readonly (Edge | undefined)[]>> = {
  worker: [
    ...[undefined, 'before-fence', 'after-fence', 'before-transaction'],
    ...['before-produce', 'after-produce', 'before-end', 'after-end'],
  ] as const,
  coordinator: [undefined, 'before-produce', 'after-end'],
  broker: [
    ...[undefined, 'after-fence', 'before-transaction'],
    ...['after-produce', 'before-end', 'after-end'],
  ] as const,
  zombie: [undefined, 'before-produce', 'before-end', 'after-end'],
  // What is held before it produces has a complete checkpoint and no transaction yet.
  outage: ['before-produce', 'before-end', 'after-end'],
};

const DECK: readonly Fault[] = FAULT_KINDS.flatMap((kind) =>
  EDGES[kind].map((edge) => (edge === undefined ? { kind } : { kind, edge })),
);

/** How many processes it kills, or stops: whoever is to meet a fence has to be started first. */
export function killsOf({ edge }: Fault): number {
  return edge !== undefined && FENCE_EDGES.includes(edge) ? 2 : 1;
}

/** Faults with `kills` kills, or one more. */
export function planFaults(kills: number, random: SeededRandom): readonly Fault[] {
  const faults: Fault[] = [];
  let deck: Fault[] = [];
  for (let planned = 0; planned < kills;) {
    if (deck.length === 0) deck = shuffled(DECK, random);
    const fault = deck.pop();
    if (fault === undefined) break;
    faults.push(fault);
    planned += killsOf(fault);
  }
  return faults;
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(random.whole(0, left.length - 1), 1));
  return order;
}
