/**
 * Subscribes to a peer's exchange server for one attempt. A stream that breaks is reported once and
 * never reopened: records may have been lost, so the attempt restarts from its last checkpoint.
 */
import { credentials, makeClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { MillraceError } from '../../core/errors.js';
import type { ExchangeRequest } from '../../proto/gen/millrace/v1/exchange.js';
import type { FrameSource, SliceLocation } from './attempt-exchange.js';
import {
  EXCHANGE_CHANNEL_OPTIONS,
  EXCHANGE_PROTOCOL_VERSION,
  ExchangeService,
} from './exchange-protocol.js';

const ExchangeClient = makeClientConstructor(ExchangeService, 'Exchange');

export interface ExchangeSubscription {
  readonly jobId: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly consumerWorkerId: string;
}

export function subscribeToExchange(
  peer: SliceLocation,
  subscription: ExchangeSubscription,
  onFrame: (frame: Buffer) => void,
  onBroken: (error: MillraceError) => void,
): FrameSource {
  const client = new ExchangeClient(
    peer.dataAddress,
    credentials.createInsecure(),
    EXCHANGE_CHANNEL_OPTIONS,
  );
  const { path, requestSerialize, responseDeserialize } = ExchangeService.subscribe;
  const call = client.makeBidiStreamRequest<ExchangeRequest, Buffer>(
    path,
    requestSerialize,
    responseDeserialize,
  );
  let closed = false;
  call.on('data', onFrame);
  call.on('error', (error: ServiceError) => {
    if (closed) return;
    closed = true;
    client.close();
    onBroken(
      new MillraceError(
        'EXCHANGE_BROKEN',
        `the exchange with worker ${peer.workerId} at ${peer.dataAddress} broke (${error.details}); the job restarts from its last checkpoint`,
        { cause: error, location: { worker: peer.workerId } },
      ),
    );
  });
  call.write({
    message: {
      $case: 'subscription',
      value: { ...subscription, protocolVersion: EXCHANGE_PROTOCOL_VERSION },
    },
  });
  return {
    sendCredits: (channels, counts) => {
      if (!closed) call.write({ message: { $case: 'credits', value: { channels, counts } } });
    },
    close: () => {
      if (closed) return;
      closed = true;
      call.cancel();
      client.close();
    },
  };
}
