/**
 * Copies of a committed output with one mistake in each: what a checker that is worth anything must
 * notice. The original is never touched.
 */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

export const MISTAKES = ['drop', 'duplicate', 'swap', 'alter'] as const;
export type Mistake = (typeof MISTAKES)[number];

/** Digits stand in every record of every output. */
function altered(line: string): string {
  return line.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10));
}

/** Two records that have exchanged their last fields. */
function swapped(a: string, b: string): readonly string[] {
  const cutA = a.lastIndexOf(',"');
  const cutB = b.lastIndexOf(',"');
  return [a.slice(0, cutA) + b.slice(cutB), b.slice(0, cutB) + a.slice(cutA)];
}

function spoil(mistake: Mistake, [first = '', second = '', ...rest]: readonly string[]): string[] {
  switch (mistake) {
    case 'drop':
      return [second, ...rest];
    case 'duplicate':
      return [first, first, second, ...rest];
    case 'swap':
      return [...swapped(first, second), ...rest];
    case 'alter':
      return [altered(first), second, ...rest];
  }
}

/**
 * A copy of `output` with the mistake in one file of its folder `name`.
 * @returns the copy
 */
export async function spoiledCopy(output: string, name: string, mistake: Mistake): Promise<string> {
  const copy = `${output}-${name}-${mistake}`;
  await cp(output, copy, { recursive: true });
  for (const file of (await readdir(path.join(copy, name))).sort()) {
    if (!/^part-.*\.ndjson$/.test(file)) continue;
    const target = path.join(copy, name, file);
    const lines = (await readFile(target, 'utf8')).trimEnd().split('\n');
    if (lines.length < 2) continue;
    await writeFile(target, `${spoil(mistake, lines).join('\n')}\n`);
    return copy;
  }
  throw new Error(`there is no committed file of two records in ${output}/${name}`);
}
