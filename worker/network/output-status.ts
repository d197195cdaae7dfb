/**
 * What a record writer knows of its channels without asking each of them: where a chunk is open, and how many
 * hold as much as they may. Its subpartitions keep it; the writer reads it on every turn.
 */
import { ChannelSet } from './channel-set.js';

export class OutputStatus {
  /** Positions of the channels with an open chunk. */
  readonly open: ChannelSet;
  /** How many channels are full. */
  full = 0;

  constructor(channelCount: number) {
    this.open = new ChannelSet(channelCount);
  }
}
