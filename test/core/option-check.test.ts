import test from 'ava';
import {
  callback,
  checkOptions,
  flag,
  group,
  oneOf,
  optional,
  text,
  wholeNumber,
  type OptionRules,
} from '../../core/option-check.js';

interface Options {
  readonly path: string;
  readonly mode?: 'fast' | 'safe';
  readonly sizeMax?: number;
  readonly follow?: boolean;
  readonly of?: (record: unknown) => string;
  readonly login?: { readonly name: string };
}

const rules: OptionRules<Options> = {
  path: text('a path'),
  mode: optional(oneOf(['fast', 'safe'])),
  sizeMax: optional(wholeNumber(1)),
  follow: optional(flag),
  of: optional(callback('(record) => text')),
  login: optional(group<{ readonly name: string }>({ name: text('a name') })),
};

function told(options: unknown): string {
  try {
    checkOptions('someSource', options as Options, rules);
    return 'nothing';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test('what fits is given back without what is left out', (t) => {
  const options = { path: 'a', sizeMax: 1, login: { name: 'me' }, mode: undefined };
  const given = checkOptions('someSource', options as unknown as Options, rules);
  t.deepEqual(given, { path: 'a', sizeMax: 1, login: { name: 'me' } });
  t.false('mode' in given);
});

test('a name that is not known: the nearest, or all that there are', (t) => {
  const start = 'PARAM_INVALID: someSource: ';
  t.is(told({ path: 'a', mod: 'fast' }), `${start}mod is no option; did you mean mode?`);
  t.is(told({ Path: 'a' }), `${start}Path is no option; did you mean path?`);
  t.is(told({ path: 'a', sizemx: 1 }), `${start}sizemx is no option; did you mean sizeMax?`);
  t.is(
    told({ path: 'a', toString: 1 }),
    `${start}toString is no option; there are path, mode, sizeMax, follow, of, login`,
  );
  t.is(
    told({ path: 'a', login: { user: 'x' } }),
    `${start}login.user is no option; there are name`,
  );
});

test('a value of another kind: what it is, and what may be given', (t) => {
  const start = 'PARAM_INVALID: someSource: ';
  t.is(told({}), `${start}path is missing; give a path`);
  t.is(told({ path: '' }), `${start}path is ""; give a path`);
  t.is(told({ path: ['a'] }), `${start}path is array of 1; give a path`);
  t.is(told({ path: 'a', mode: 'slow' }), `${start}mode is "slow"; give one of fast, safe`);
  t.is(told({ path: 'a', sizeMax: 0.5 }), `${start}sizeMax is 0.5; give a whole number from 1`);
  t.is(told({ path: 'a', sizeMax: '1' }), `${start}sizeMax is "1"; give a whole number from 1`);
  t.is(told({ path: 'a', follow: 'no' }), `${start}follow is "no"; give true or false`);
  t.is(told({ path: 'a', of: 1 }), `${start}of is 1; give a function (record) => text`);
  t.is(
    told(undefined),
    'PARAM_INVALID: someSource: got nothing; give options: { path, mode, sizeMax, follow, of, login }',
  );
});

test('where a secret may stand, what was given is not shown', (t) => {
  t.is(
    told({ path: 'a', login: 'hidden' }),
    'PARAM_INVALID: someSource: login is a string; give { name }',
  );
});
