import test from 'ava';
import { isMillraceError, tumblingWindows } from '../../api/index.js';

test('tumbling windows have no offset and no lateness unless told', (t) => {
  t.deepEqual(tumblingWindows(60_000), { sizeMs: 60_000, offsetMs: 0, allowedLatenessMs: 0 });
  t.deepEqual(tumblingWindows(10, { offsetMs: -9, allowedLatenessMs: 5 }), {
    sizeMs: 10,
    offsetMs: -9,
    allowedLatenessMs: 5,
  });
});

const refused: readonly (readonly [Parameters<typeof tumblingWindows>, RegExp])[] = [
  [[0], /window size is 0 ms; give 1 or more whole ms$/],
  [[-5], /window size is -5 ms/],
  [[1.5], /window size is 1\.5 ms/],
  [[NaN], /window size is NaN ms/],
  [[2 ** 53], /window size is 9007199254740992 ms/],
  [[10, { offsetMs: 10 }], /window offset is 10 ms; give whole ms smaller than the size \(10\)$/],
  [[10, { offsetMs: -10 }], /window offset is -10 ms/],
  [[10, { offsetMs: 0.5 }], /window offset is 0\.5 ms/],
  [[10, { allowedLatenessMs: -1 }], /allowed lateness is -1 ms; give 0 or more whole ms$/],
  [[10, { allowedLatenessMs: Infinity }], /allowed lateness is Infinity ms/],
];

for (const [given, message] of refused) {
  test(`a length that is no whole number of ms is refused: ${String(message)}`, (t) => {
    const error = t.throws(() => tumblingWindows(...given), { message });
    t.true(isMillraceError(error) && error.code === 'JOB_INVALID');
  });
}
