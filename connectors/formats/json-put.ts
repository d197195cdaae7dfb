/**
 * Scalars as JSON in a buffer: each function writes at `at` and returns where it ended, or -1 when the
 * bytes before `limit` may be too few. Text is what `JSON.stringify` and `String` make; they must
 * never write anything else, only sooner.
 */
const [QUOTE, MINUS, POINT, ZERO, BACKSLASH] = [34, 45, 46, 48, 92];
/** Longer text is tested and copied as a whole. */
const SHORT_LENGTH = 32;
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
/** UTF-16 units become at most as many bytes each. */
const BYTES_PER_UNIT = 3;
/** Of the text of any number, quotes included. */
const NUMBER_BYTES_MAX = 32;
const LOW_DIGITS = 8;
const LOW = 10 ** LOW_DIGITS;
/** Below this an integer has at most 15 digits, and a decimal of them is the shortest of its double. */
const EXACT_MAX = 1e15;

export function putText(bytes: Buffer, at: number, limit: number, value: string): number {
  const { length } = value;
  if (at + length + 2 > limit) return -1;
  if (length > SHORT_LENGTH) {
    if (!PLAIN.test(value)) return putQuoted(bytes, at, limit, value);
    bytes[at] = QUOTE;
    const end = at + 1 + bytes.write(value, at + 1, 'latin1');
    bytes[end] = QUOTE;
    return end + 1;
  }
  const start = at + 1;
  for (let index = 0; index < length; index++) {
    const unit = value.charCodeAt(index);
    if (unit < 32 || unit > 126 || unit === QUOTE || unit === BACKSLASH) {
      return putQuoted(bytes, at, limit, value);
    }
    bytes[start + index] = unit;
  }
  bytes[at] = QUOTE;
  bytes[start + length] = QUOTE;
  return start + length + 1;
}

function putQuoted(bytes: Buffer, at: number, limit: number, value: string): number {
  return put(bytes, at, limit, JSON.stringify(value));
}

/** What is JSON already. */
export function put(bytes: Buffer, at: number, limit: number, text: string): number {
  if (at + text.length * BYTES_PER_UNIT > limit) return -1;
  return at + bytes.write(text, at);
}

/** @param value a safe integer or its negative zero, which becomes 0 */
export function putInteger(bytes: Buffer, at: number, limit: number, value: number): number {
  return at + NUMBER_BYTES_MAX > limit ? -1 : integerAt(bytes, at, value);
}

/** NaN and the infinities as strings. */
export function putFloat(bytes: Buffer, at: number, limit: number, value: number): number {
  if (at + NUMBER_BYTES_MAX > limit) return -1;
  if ((value | 0) === value && !Object.is(value, -0)) return integerAt(bytes, at, value);
  let end = decimalAt(bytes, at, value, 2, 100);
  if (end < 0) end = decimalAt(bytes, at, value, 6, 1e6);
  if (end >= 0) return end;
  const text = Object.is(value, -0) ? '-0' : String(value);
  return at + bytes.write(Number.isFinite(value) ? text : `"${text}"`, at, 'latin1');
}

/**
 * -1 when the number has more places behind the point, or too many digits.
 * @param scale 10 ** places
 */
function decimalAt(
  bytes: Buffer,
  at: number,
  value: number,
  places: number,
  scale: number,
): number {
  const size = Math.abs(value);
  const scaled = Math.round(size * scale);
  // A quotient of exact numbers is the double next to that decimal, as the decimal's text would be.
  if (!(scaled < EXACT_MAX) || scaled / scale !== size || scaled === 0) return -1;
  const whole = Math.floor(scaled / scale);
  if (value < 0) bytes[at] = MINUS;
  let end = integerAt(bytes, value < 0 ? at + 1 : at, whole);
  const fraction = scaled - whole * scale;
  if (fraction === 0) return end;
  bytes[end] = POINT;
  end = digitsAt(bytes, end + 1, fraction, places);
  while (bytes[end - 1] === ZERO) end--;
  return end;
}

function integerAt(bytes: Buffer, at: number, value: number): number {
  if (value < 0) {
    bytes[at] = MINUS;
    return integerAt(bytes, at + 1, -value);
  }
  if (value >= LOW) {
    const high = Math.floor(value / LOW);
    return digitsAt(bytes, integerAt(bytes, at, high), value - high * LOW, LOW_DIGITS);
  }
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  return digitsAt(bytes, at, value, digits);
}

/** @param value below 2 ** 31 */
function digitsAt(bytes: Buffer, at: number, value: number, digits: number): number {
  let rest = value | 0;
  for (let place = at + digits - 1; place >= at; place--) {
    const next = (rest / 10) | 0;
    bytes[place] = ZERO + rest - next * 10;
    rest = next;
  }
  return at + digits;
}
