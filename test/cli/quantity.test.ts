import test from 'ava';
import { formatBytes, formatCount, formatDuration, formatMoment } from '../../cli/quantity.js';

test('numbers are shown with units that fit', (t) => {
  t.deepEqual([0, 999, 1000, 1234567.8].map(formatCount), ['0', '999', '1,000', '1,234,568']);
  t.deepEqual([0, 1023, 1024, 150 * 1024, 5 * 2 ** 30].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KB',
    '150 KB',
    '5.0 GB',
  ]);
  t.deepEqual([12.4, 1500, 61_000, 7_260_000].map(formatDuration), [
    '12 ms',
    '1.5 s',
    '1 min 1 s',
    '2 h 1 min',
  ]);
  t.is(formatMoment(0), '1970-01-01 00:00:00 UTC');
});
