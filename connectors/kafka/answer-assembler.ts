/**
 * Puts a broker's answers together out of what a socket reads, each in memory of its own size: the socket reads into
 * one buffer again and again (socket -> answer assembler -> kafkajs' connection). What is no answer of Kafka goes
 * through as it comes: kafkajs knows what to say of it.
 */
import type { AnswerMemory } from './answer-memory.js';

const PREFIX_BYTES = 4;
/** More than any broker is set to; what other servers say reads as more than that. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

export class AnswerAssembler {
  readonly #memory: AnswerMemory;
  readonly #emit: (answer: Buffer) => void;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  /** What has come of the answer, its prefix included. */
  #answer: Buffer | undefined;
  #answerBytes = 0;
  #isForeign = false;

  /** @param emit takes each answer whole, with its length before it */
  constructor(memory: AnswerMemory, emit: (answer: Buffer) => void) {
    this.#memory = memory;
    this.#emit = emit;
  }

  /** @param bytes the caller's again afterwards */
  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#isForeign) {
        this.#emit(Buffer.from(bytes.subarray(at)));
        return;
      }
      if (this.#answer === undefined) {
        at += this.#takePrefix(bytes, at);
      } else {
        const count = bytes.copy(this.#answer, this.#answerBytes, at);
        this.#answerBytes += count;
        at += count;
      }
      if (this.#answer?.length === this.#answerBytes) {
        const answer = this.#answer;
        this.#answer = undefined;
        this.#emit(answer);
      }
    }
  }

  #takePrefix(bytes: Buffer, from: number): number {
    const count = bytes.copy(this.#prefix, this.#prefixBytes, from);
    this.#prefixBytes += count;
    if (this.#prefixBytes < PREFIX_BYTES) return count;
    this.#prefixBytes = 0;
    const length = this.#prefix.readInt32BE();
    if (length < 0 || length > ANSWER_BYTES_MAX) {
      this.#isForeign = true;
      this.#emit(Buffer.from(this.#prefix));
    } else {
      this.#answer = this.#memory.take(PREFIX_BYTES + length);
      this.#prefix.copy(this.#answer);
      this.#answerBytes = PREFIX_BYTES;
    }
    return count;
  }
}
