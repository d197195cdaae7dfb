/**
 * Compiles the operators of a chain into direct calls. Map, filter and flatMap become inline code in
 * one generated function per output of an operator object, so that V8 sees one call site per user
 * function. The generated text is made of our own templates only; names of operators enter it as
 * JSON strings, user code as closed-over functions.
 */
import { compileFunction } from 'node:vm';
import type { Transformation } from '../../api/transformation.js';
import { MillraceError } from '../../core/errors.js';
import { MAIN_OUTPUT, type StreamNode } from '../../core/stream-graph.js';
import type { RecordWriter } from '../network/record-writer.js';
import type { StreamOperator } from '../operators/operator.js';
import { userCodeError } from '../operators/user-code.js';

export type Collect = (value: unknown, timestamp: number) => void;

/** Takes the first `count` records of a batch. */
export type CollectBatch = (
  values: readonly unknown[],
  timestamps: ArrayLike<number>,
  count: number,
) => void;

/** One consumer of an operator's output: the next operator in the chain, or an edge to another task. */
export type Consumer =
  | { readonly kind: 'operator'; readonly node: StreamNode }
  | { readonly kind: 'writer'; readonly writer: RecordWriter };

/** Which side of an operator object takes a record. */
export type EntryMethod = 'processElement' | 'processBroadcastElement';

export interface ChainLayout {
  /** Consumers of an operator's output, in declaration order. */
  consumersOf(operator: string, output: string): readonly Consumer[];
  transformationOf(operator: string): Transformation;
  /** The operator object; undefined for operators that are compiled inline. */
  operatorOf(operator: string): StreamOperator | undefined;
  /** Position of an operator's counters. */
  counterOf(operator: string): number;
  /** Records in and out of each operator since the attempt began. */
  readonly recordsIn: Float64Array;
  readonly recordsOut: Float64Array;
}

let compiled = 0;

/** The text of one generated function and the values that it closes over. */
class ChainSource {
  readonly #layout: ChainLayout;
  readonly #constants: unknown[] = [];
  readonly #recordsIn: string;
  readonly #recordsOut: string;
  readonly #failed: string;
  #variables = 0;

  constructor(layout: ChainLayout) {
    this.#layout = layout;
    this.#recordsIn = this.#constant(layout.recordsIn);
    this.#recordsOut = this.#constant(layout.recordsOut);
    this.#failed = this.#constant(userCodeError);
  }

  /** Code that hands `value` to everything behind an output. */
  emit(operator: string, output: string, value: string): string {
    const counted =
      output === MAIN_OUTPUT ? `${this.#recordsOut}[${this.#layout.counterOf(operator)}]++;\n` : '';
    const consumers = this.#layout.consumersOf(operator, output);
    return counted + consumers.map((consumer) => this.#hand(operator, consumer, value)).join('');
  }

  /** Code that tells the head of the chain of a whole batch, if it wants to know. */
  prefetch({ name }: StreamNode): string {
    const target = this.#layout.operatorOf(name);
    if (target?.prefetch === undefined) return '';
    return `${this.#constant(target)}.prefetch(values, timestamps, count);\n`;
  }

  /** Code that hands `value` to an operator of the chain. */
  enter({ name }: StreamNode, value: string, method: EntryMethod = 'processElement'): string {
    const counted = `${this.#recordsIn}[${this.#layout.counterOf(name)}]++;\n`;
    const target = this.#layout.operatorOf(name);
    if (target !== undefined) {
      return `${counted}${this.#constant(target)}.${method}(${value}, ts);\n`;
    }
    const { functions } = this.#layout.transformationOf(name);
    const result = this.#variable();
    switch (functions.kind) {
      case 'map': {
        const call = `${result} = ${this.#constant(functions.map)}(${value});`;
        return (
          `${counted}let ${result};\n${this.#guard(call, name, value)}` +
          this.emit(name, MAIN_OUTPUT, result)
        );
      }
      case 'filter': {
        const call = `${result} = ${this.#constant(functions.filter)}(${value});`;
        return (
          `${counted}let ${result};\n${this.#guard(call, name, value)}` +
          `if (${result}) {\n${this.emit(name, MAIN_OUTPUT, value)}}\n`
        );
      }
      case 'flatMap': {
        const index = this.#variable();
        const element = this.#variable();
        const call =
          `${result} = ${this.#constant(functions.flatMap)}(${value}); ` +
          `if (!Array.isArray(${result})) ${result} = Array.from(${result});`;
        return (
          `${counted}let ${result};\n${this.#guard(call, name, value)}` +
          `for (let ${index} = 0; ${index} < ${result}.length; ${index}++) {\n` +
          `const ${element} = ${result}[${index}];\n${this.emit(name, MAIN_OUTPUT, element)}}\n`
        );
      }
      default:
        throw new MillraceError('INTERNAL', `operator "${name}" needs an operator object`);
    }
  }

  link<F>(signature: string, body: string): F {
    // The number keeps V8's compilation cache from sharing one function, and its type feedback, between chains.
    const source = `// chain ${++compiled}\nreturn function ${signature} {\n${body}};`;
    const parameters = this.#constants.map((_, index) => `k${index}`);
    const factory = compileFunction(source, parameters) as (...values: unknown[]) => F;
    return factory(...this.#constants);
  }

  #hand(operator: string, consumer: Consumer, value: string): string {
    if (consumer.kind === 'operator') return this.enter(consumer.node, value);
    return this.#guard(`${this.#constant(consumer.writer.write)}(${value}, ts);`, operator, value);
  }

  #guard(code: string, operator: string, value: string): string {
    const name = JSON.stringify(operator);
    return `try { ${code} } catch (e) { throw ${this.#failed}(e, ${name}, '', ${value}); }\n`;
  }

  #constant(value: unknown): string {
    this.#constants.push(value);
    return `k${this.#constants.length - 1}`;
  }

  #variable(): string {
    return `v${++this.#variables}`;
  }
}

/** The function that takes each record of an operator's output. */
export function compileCollect(layout: ChainLayout, operator: string, output: string): Collect {
  const source = new ChainSource(layout);
  return source.link<Collect>('collect(v0, ts)', source.emit(operator, output, 'v0'));
}

/** The function that takes the batches of one of the chain's inputs. */
export function compileEntry(
  layout: ChainLayout,
  head: StreamNode,
  method: EntryMethod,
): CollectBatch {
  const source = new ChainSource(layout);
  // Records for every subtask have no key.
  const prefetch = method === 'processElement' ? source.prefetch(head) : '';
  const body = source.enter(head, 'v0', method);
  return source.link<CollectBatch>(
    'collectBatch(values, timestamps, count)',
    `${prefetch}for (let i = 0; i < count; i++) {\nconst v0 = values[i], ts = timestamps[i];\n${body}}\n`,
  );
}
