/** A source output that writes down what it is told, and checks the order of the calls. */
import type { DeadLetter, SourceOutput } from '../../api/source.js';

export class RecordingOutput<T> implements SourceOutput<T> {
  readonly records: T[] = [];
  readonly deadLetters: DeadLetter[] = [];
  readonly observed = new Map<string, T[]>();
  readonly recordsOf = new Map<string, T[]>();
  readonly finished: string[] = [];
  /** Whether anyone reads `deadLetters`. */
  takesDeadLetters = true;
  readonly #asksForStarts: boolean;
  #selected: string | undefined;

  constructor(asksForStarts = true) {
    this.#asksForStarts = asksForStarts;
  }

  selectSplit(splitId: string): void {
    this.#selected = splitId;
  }

  collect(record: T): void {
    this.records.push(record);
    this.#listOf(this.recordsOf).push(record);
  }

  deadLetter(letter: DeadLetter): void {
    this.#listOf(this.recordsOf);
    this.deadLetters.push(letter);
  }

  needsStart(): boolean {
    return this.#asksForStarts;
  }

  observe(record: T): void {
    this.#listOf(this.observed).push(record);
  }

  pauseSplit(): void {
    if (this.#selected === undefined) throw new Error('no split is selected');
    this.#selected = undefined;
  }

  finishSplit(): void {
    this.#listOf(this.recordsOf);
    this.finished.push(this.#selected ?? '');
  }

  #listOf(lists: Map<string, T[]>): T[] {
    const split = this.#selected;
    if (split === undefined) throw new Error('no split is selected');
    if (this.finished.includes(split)) throw new Error(`${split} is finished`);
    let list = lists.get(split);
    if (list === undefined) lists.set(split, (list = []));
    return list;
  }
}
