/** One connection to what says it is a broker, where real brokers would take too long. */
import test from 'ava';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { BrokerConnection } from '../../../connectors/kafka/broker-connection.js';
import { initProducerIdRequest } from '../../../connectors/kafka/transaction-requests.js';
import { WireWriter } from '../../../connectors/kafka/wire-writer.js';
import { systemClock } from '../../../process/system-clock.js';

const API_VERSIONS = 18;
const INIT_PRODUCER_ID = 22;
const REQUEST_TIMEOUT_MS = 500;
/** Far longer than the test may take. */
const THROTTLE_MS = 60_000;

/** Answers two requests once both are under way: the first throttles, the second takes far longer than it may. */
function throttling(socket: Socket): void {
  let received = Buffer.alloc(0);
  const asked: number[] = [];
  const answer = (correlationId: number, write: (writer: WireWriter) => void): void => {
    const writer = new WireWriter(false);
    writer.int32(correlationId);
    write(writer);
    const length = Buffer.alloc(4);
    length.writeInt32BE(writer.written.length);
    socket.write(Buffer.concat([length, writer.written]));
  };
  const identity = (index: number, throttleMs: number): void => {
    answer(asked[index] ?? 0, (writer) => {
      // Tagged fields, of which there are none, are a zero each.
      writer.int8(0).int32(throttleMs).int16(0).int64(index).int16(0).int8(0);
    });
  };
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
      const apiKey = received.readInt16BE(4);
      const correlationId = received.readInt32BE(8);
      received = received.subarray(4 + received.readInt32BE(0));
      if (apiKey === API_VERSIONS) {
        answer(correlationId, (writer) => {
          writer.int16(0).array([API_VERSIONS, INIT_PRODUCER_ID], (key) => {
            writer.int16(key).int16(0).int16(3);
          });
          writer.int32(0);
        });
        continue;
      }
      asked.push(correlationId);
      if (asked.length < 2) continue;
      identity(0, THROTTLE_MS);
      systemClock.setTimer(5 * REQUEST_TIMEOUT_MS, () => identity(1, 0));
    }
  });
}

test('a broker that throttles may take that much longer for what is under way', async (t) => {
  const server = createServer(throttling).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const connection = await BrokerConnection.open(
    { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    {
      ...{ clientId: 'test', tls: null, sasl: null },
      ...{ connectTimeoutMs: 30_000, requestTimeoutMs: REQUEST_TIMEOUT_MS },
    },
  );
  t.teardown(() => connection.close());
  const answers = await Promise.all(
    [0, 1].map(() => connection.send(initProducerIdRequest(null, 0))),
  );
  t.deepEqual(
    answers.map(({ producerId }) => producerId),
    [0n, 1n],
  );
});
