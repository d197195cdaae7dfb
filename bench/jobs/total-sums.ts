/**
 * Count and sum of a number made of each window total, whatever their order: what
 * bench/peers/kafka/TopicSums.java finds in a topic of their JSON text.
 */
import type { UserTotal } from './window-tally.js';

export class TotalSums {
  count = 0;
  checksum = 0;

  add({ user_id, start, count, sum }: UserTotal): void {
    this.count++;
    this.checksum += hash24(`${user_id} ${start} ${count} ${sum * 4}`);
  }
}

/** 24 bits of FNV-1a over ASCII text, so that a double holds the sum of many exactly. */
export function hash24(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 8;
}
