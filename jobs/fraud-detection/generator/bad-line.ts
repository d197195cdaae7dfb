/** Lines as they arrive when something upstream is broken: none of them is a transaction. */
import type { Transaction } from '../schemas.js';
import type { SeededRandom } from './random.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

type Break = (transaction: Transaction, random: SeededRandom) => string | Uint8Array;

const BREAKS: readonly Break[] = [
  function cutOff(transaction, random) {
    const line = JSON.stringify(transaction);
    return line.slice(0, 1 + random.below(line.length - 1));
  },
  function missingField(transaction) {
    const { user_id: _dropped, ...rest } = transaction;
    return JSON.stringify(rest);
  },
  function wrongType(transaction) {
    return JSON.stringify({ ...transaction, price: String(transaction.price) });
  },
  function unknownPaymentMethod(transaction) {
    return JSON.stringify({ ...transaction, payment_method: 'barter' });
  },
  function notARecord() {
    return 'null';
  },
  function binaryJunk(_transaction, random) {
    const bytes = Uint8Array.from({ length: 16 + random.below(48) }, () => random.below(256));
    // A whole file of junk would have line ends; this is one line of it, and surely no blank one.
    return bytes.map((byte, index) =>
      index === 0 ? 0xff : byte === LINE_FEED || byte === CARRIAGE_RETURN ? 0 : byte,
    );
  },
];

/** What became of a transaction on the way; never contains a line feed. */
export function brokenLine(transaction: Transaction, random: SeededRandom): string | Uint8Array {
  const broken = BREAKS[random.below(BREAKS.length)]?.(transaction, random);
  return broken ?? '';
}
