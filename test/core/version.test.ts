import test from 'ava';
import { readFileSync } from 'node:fs';
import { ENGINE_VERSION, isSameEngine } from '../../core/version.js';

test('the engine version is that of package.json', (t) => {
  const text = readFileSync('package.json', 'utf8');
  t.is((JSON.parse(text) as { version: string }).version, ENGINE_VERSION);
});

test('engines work together when major and minor are equal', (t) => {
  t.true(isSameEngine('1.2.3', '1.2.9'));
  t.false(isSameEngine('1.2.3', '1.3.3'));
});
