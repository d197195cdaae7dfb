/** The events of a watch, written down in order. */
import type { MetaEvent, MetaListener } from '../../storage/meta-store.js';

/** The events of a watch, to be awaited by number. */
export class RecordedEvents {
  readonly seen: MetaEvent[] = [];
  #wake: () => void = () => undefined;

  readonly listener: MetaListener = (event) => {
    this.seen.push(event);
    this.#wake();
  };

  async first(count: number): Promise<readonly MetaEvent[]> {
    while (this.seen.length < count) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.seen.slice(0, count);
  }
}
