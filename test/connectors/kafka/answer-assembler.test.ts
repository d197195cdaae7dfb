import test from 'ava';
import fc from 'fast-check';
import { AnswerAssembler } from '../../../connectors/kafka/answer-assembler.js';
import { AnswerMemory } from '../../../connectors/kafka/answer-memory.js';

function framed(body: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(body.length);
  return Buffer.concat([prefix, body]);
}

test('however a socket reads answers, each comes out whole, in its order and of its own bytes', (t) => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
  const cuts = fc.array(fc.nat(20), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(bodies, cuts, (each, lengths) => {
      const seen: Buffer[] = [];
      const assembler = new AnswerAssembler(new AnswerMemory(), (answer) => seen.push(answer));
      const stream = Buffer.concat(each.map(framed));
      const room = Buffer.alloc(64);
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const length = Math.max(1, lengths[turn % lengths.length] ?? 1);
        const count = stream.copy(room, 0, at, at + length);
        assembler.take(room.subarray(0, count));
        at += count;
      }
      t.deepEqual(seen, each.map(framed));
    }),
  );
});

test('what another server says goes through as it comes', (t) => {
  const seen: Buffer[] = [];
  const assembler = new AnswerAssembler(new AnswerMemory(), (answer) => seen.push(answer));
  assembler.take(Buffer.from('HTTP/1.1 400'));
  assembler.take(Buffer.from(' Bad Request'));
  t.is(Buffer.concat(seen).toString(), 'HTTP/1.1 400 Bad Request');
});
