import test from 'ava';
import { MillraceError } from '../../../core/errors.js';
import type { Format, FormatContext } from '../../../connectors/formats/format.js';
import { raw } from '../../../connectors/formats/raw.js';
import { checkFormats, formatContext } from '../../../connectors/kafka/format-place.js';

/** Answers as a registry would. */
function asked(
  calls: (readonly [FormatContext, string])[],
  refusal?: MillraceError,
): Format<unknown> {
  return {
    ...(raw() as Format<unknown>),
    check: (context, use) => {
      calls.push([context, use]);
      return refusal === undefined ? Promise.resolve() : Promise.reject(refusal);
    },
  };
}

test('both parts of each topic are asked, by name', async (t) => {
  const calls: (readonly [FormatContext, string])[] = [];
  await checkFormats({ key: asked(calls), value: asked(calls) }, ['a', 'b'], 'write');
  t.deepEqual(
    calls.map(([{ subject, topic, part }, use]) => [subject, topic, part, use]),
    [
      ['topic "a" key', 'a', 'key', 'write'],
      ['topic "a" value', 'a', 'value', 'write'],
      ['topic "b" key', 'b', 'key', 'write'],
      ['topic "b" value', 'b', 'value', 'write'],
    ],
  );
});

test('a schema that is refused is told of', async (t) => {
  const refusal = new MillraceError('SCHEMA_INCOMPATIBLE', 'field "a" is gone; add it');
  const value = asked([], refusal);
  await t.throwsAsync(checkFormats({ key: undefined, value }, ['a'], 'read'), {
    code: 'SCHEMA_INCOMPATIBLE',
  });
});

test('formats without a registry, and secrets that are kept elsewhere, refuse nothing', async (t) => {
  const secret = new MillraceError('PARAM_INVALID', 'no environment variable X; set it');
  await t.notThrowsAsync(checkFormats({ key: raw(), value: asked([], secret) }, ['a'], 'read'));
  t.deepEqual(formatContext('a', 'key'), { subject: 'topic "a" key', topic: 'a', part: 'key' });
});
