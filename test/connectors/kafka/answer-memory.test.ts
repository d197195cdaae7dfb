import test from 'ava';
import { AnswerMemory } from '../../../connectors/kafka/answer-memory.js';

const MB = 1024 * 1024;

test('memory that was given back is used for the next answer that fits, and only for one', (t) => {
  const memory = new AnswerMemory();
  const first = memory.take(3 * MB);
  t.is(first.length, 3 * MB);
  t.not(memory.take(3 * MB).buffer, first.buffer);
  memory.giveBack(first.buffer);
  const second = memory.take(2 * MB);
  t.is(second.buffer, first.buffer);
  t.is(second.length, 2 * MB);
  t.not(memory.take(MB).buffer, first.buffer);
});

test('memory that is too small gives way, and neither small nor huge answers are kept', (t) => {
  const memory = new AnswerMemory();
  const small = memory.take(100);
  memory.giveBack(small.buffer);
  t.not(memory.take(100 * 1024).buffer, small.buffer);
  const huge = memory.take(40 * MB);
  memory.giveBack(huge.buffer);
  t.not(memory.take(30 * MB).buffer, huge.buffer);
  const [one, other] = [memory.take(MB), memory.take(MB)];
  for (const { buffer } of [one, other]) memory.giveBack(buffer);
  memory.take(5 * MB);
  t.is(memory.take(MB).buffer, other.buffer);
  t.not(memory.take(MB).buffer, one.buffer);
});
