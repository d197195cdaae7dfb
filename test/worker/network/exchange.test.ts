import { EventEmitter, once } from 'node:events';
import test from 'ava';
import type { MillraceError } from '../../../core/errors.js';
import { channelOf, createJobGraph } from '../../../core/job-graph.js';
import { systemClock } from '../../../process/system-clock.js';
import {
  AttemptExchange,
  type SliceLocation,
  type SlotPort,
} from '../../../worker/network/attempt-exchange.js';
import type { Buffer as ChannelBuffer } from '../../../worker/network/buffer.js';
import { subscribeToExchange } from '../../../worker/network/exchange-client.js';
import { ExchangeServer } from '../../../worker/network/exchange-server.js';
import { sampleJob } from '../../api/sample-job.js';

const graph = createJobGraph(sampleJob.build({}).graph, 2);

/** A slot that only writes down what arrives. */
class RecordedSlot extends EventEmitter implements SlotPort {
  readonly received: [number, ChannelBuffer][] = [];
  readonly returned: [number, number][] = [];

  buffers(channels: number[], buffers: ChannelBuffer[]): void {
    buffers.forEach((buffer, index) => this.received.push([channels[index] ?? -1, buffer]));
    this.emit('change');
  }

  credits(channels: number[], counts: number[]): void {
    counts.forEach((count, index) => this.returned.push([channels[index] ?? -1, count]));
    this.emit('change');
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this, 'change', { signal: AbortSignal.timeout(10_000) });
  }
}

interface Peer {
  readonly server: ExchangeServer;
  readonly exchange: AttemptExchange;
  readonly slot: RecordedSlot;
  readonly broken: MillraceError[];
  readonly brokenOnce: Promise<MillraceError>;
}

/** Two workers with one slice each, in one process, over real gRPC. */
async function startPeers(deploy: readonly number[] = [0, 1]): Promise<{
  readonly peers: readonly Peer[];
  readonly deployLate: (index: number) => void;
  readonly close: () => void;
}> {
  const servers = [new ExchangeServer(systemClock), new ExchangeServer(systemClock)];
  const slices: SliceLocation[] = [];
  for (const [index, server] of servers.entries()) {
    const port = await server.listen('127.0.0.1', 0);
    slices.push({ workerId: `worker-${index}`, dataAddress: `127.0.0.1:${port}` });
  }
  const peers = servers.map((server, index): Peer => {
    const broken: MillraceError[] = [];
    let resolveBroken: (error: MillraceError) => void = () => undefined;
    const brokenOnce = new Promise<MillraceError>((resolve) => {
      resolveBroken = resolve;
    });
    const workerId = `worker-${index}`;
    const exchange = new AttemptExchange({
      graph,
      slices,
      workerId,
      connect: (peer, onFrame, onBroken) =>
        subscribeToExchange(
          peer,
          { jobId: 'job', attempt: 1, epoch: 1, consumerWorkerId: workerId },
          onFrame,
          onBroken,
        ),
      onBroken: (error) => {
        broken.push(error);
        resolveBroken(error);
      },
    });
    const slot = new RecordedSlot();
    return { server, exchange, slot, broken, brokenOnce };
  });
  const deployOne = (index: number): void => {
    const peer = peers[index];
    if (peer === undefined) return;
    peer.exchange.addSlot(index, peer.slot);
    peer.server.addAttempt('job', 1, peer.exchange);
  };
  for (const index of deploy) deployOne(index);
  return {
    peers,
    deployLate: deployOne,
    close: () => {
      for (const { exchange, server } of peers) {
        exchange.close();
        server.close();
      }
    },
  };
}

function channelBetween(fromSubtask: number, toSubtask: number): number {
  const [edge] = graph.edges;
  return edge === undefined ? -1 : channelOf(edge, graph.parallelism, fromSubtask, toSubtask);
}

const chunk = (...bytes: number[]): ChannelBuffer => ({
  kind: 'chunk',
  bytes: Uint8Array.from(bytes),
});

test('chunks and events cross to the other worker in order, and credits come back', async (t) => {
  const { peers, close } = await startPeers();
  t.teardown(close);
  const [from, to] = peers;
  const channel = channelBetween(0, 1);
  const sent: ChannelBuffer[] = [
    chunk(1, 2, 3),
    { kind: 'watermark', timestamp: 12.5 },
    chunk(),
    {
      kind: 'barrier',
      checkpointId: 9,
      prefix: 'savepoints/sp-1/',
      triggeredAtMs: 5,
      stopAfter: false,
      alignmentTimeoutMs: 250,
    },
    { kind: 'endOfData' },
  ];
  from?.exchange.fromSlot(
    sent.map(() => channel),
    sent,
  );
  await to?.slot.until(() => to.slot.received.length === sent.length);
  t.deepEqual(
    to?.slot.received,
    sent.map((buffer): [number, ChannelBuffer] => [channel, buffer]),
  );
  to?.exchange.creditsFromSlot([channel], [2]);
  await from?.slot.until(() => from.slot.returned.length === 1);
  t.deepEqual(from?.slot.returned, [[channel, 2]]);
});

test('what is sent before the other slot is deployed waits for it', async (t) => {
  const { peers, deployLate, close } = await startPeers([0]);
  t.teardown(close);
  const [from, to] = peers;
  const channel = channelBetween(0, 1);
  from?.exchange.fromSlot([channel], [chunk(1)]);
  deployLate(1);
  await to?.slot.until(() => to.slot.received.length === 1);
  t.deepEqual(to?.slot.received, [[channel, chunk(1)]]);
});

test('many megabytes pass through a stream that pauses', async (t) => {
  const { peers, close } = await startPeers();
  t.teardown(close);
  const [from, to] = peers;
  const channel = channelBetween(0, 1);
  const count = 400;
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(32 * 1024).fill(i % 251);
    from?.exchange.fromSlot([channel], [{ kind: 'chunk', bytes }]);
  }
  await to?.slot.until(() => to.slot.received.length === count);
  t.true(
    to?.slot.received.every(
      ([, buffer], index) =>
        buffer.kind === 'chunk' &&
        buffer.bytes.length === 32 * 1024 &&
        buffer.bytes[7] === index % 251,
    ),
  );
});

test('a peer that goes away is reported with its name', async (t) => {
  const { peers, close } = await startPeers();
  t.teardown(close);
  const [from, to] = peers;
  const channel = channelBetween(0, 1);
  from?.exchange.fromSlot([channel], [chunk(1)]);
  await to?.slot.until(() => to.slot.received.length === 1);
  from?.server.close();
  const error = await to?.brokenOnce;
  t.is(error?.code, 'EXCHANGE_BROKEN');
  t.regex(error?.message ?? '', /worker-0/);
});
