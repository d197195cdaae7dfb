/** What every Nexmark job has in common: a bounded source of events, and a tally of what comes out. */
import {
  boundedOutOfOrderness,
  job,
  param,
  type Job,
  type Schema,
  type Stream,
  type StreamEnvironment,
} from 'millrace';
import { generatorSource } from 'millrace/generator';
import { tallySink } from '../tally-sink.js';
import { NexmarkEvent, nexmarkEvent, type BidEvent } from './events.js';
import { noteProgress } from './progress.js';
import { RowTally } from './row-tally.js';

export const NEXMARK_SPLITS = 8;

/** A query: rows out of events, and the number that stands for a row in the tally. */
export interface NexmarkQuery<Row> {
  readonly row: Schema<Row>;
  readonly fingerprint: (row: Row) => number;
  readonly build: (events: Stream<NexmarkEvent>) => Stream<Row>;
}

export function nexmarkJob<Row>(name: string, query: NexmarkQuery<Row>): Job {
  const params = {
    folder: param.string({ help: 'where the tallies go' }),
    events: param.integer({ help: 'events of the bounded source' }),
  };
  return job(`bench-nexmark-${name}`, { params }, (env, { folder, events }) => {
    query.build(source(env, folder, events)).sinkTo(
      'tally',
      tallySink({
        folder,
        schema: query.row,
        createTally: () => new RowTally(query.fingerprint),
      }),
    );
  });
}

function source(env: StreamEnvironment, folder: string, events: number): Stream<NexmarkEvent> {
  return env.source(
    'events',
    generatorSource({
      schema: NexmarkEvent,
      generate: (index) => {
        noteProgress(folder, index);
        return nexmarkEvent(index);
      },
      count: events,
      splits: NEXMARK_SPLITS,
    }),
    { watermarks: boundedOutOfOrderness((event) => event.date_time, 0) },
  );
}

export function isBid(event: NexmarkEvent): event is BidEvent {
  return event.kind === 'bid';
}
