import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import test from 'ava';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../../api/job.js';
import { checkCluster } from '../../../connectors/kafka/cluster-check.js';
import { ManualClock } from '../../manual-clock.js';

const settings = { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART };

test('a broker that takes connections and says nothing is named after 8 s', async (t) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const address = `127.0.0.1:${String(port)}`;
  const clock = new ManualClock();
  const connected = once(server, 'connection');
  const checked = checkCluster({ brokers: [address] }, { clock, settings }, (client) =>
    client.metadata(),
  );
  await connected;
  clock.advance(7_999);
  const early = await Promise.race([checked, Promise.resolve('still asks')]);
  t.is(early, 'still asks');
  clock.advance(1);
  await t.throwsAsync(checked, {
    message: `BROKER_UNREACHABLE: Kafka at ${address} gave no answer in 8 s; see that its brokers are well`,
  });
});
