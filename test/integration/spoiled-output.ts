/**
 * Copies of a committed output with one mistake in each: what a checker that is worth anything must
 * notice. The original is never touched.
 */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

export const MISTAKES = ['drop', 'duplicate', 'swap', 'alter'] as const;
export type Mistake = (typeof MISTAKES)[number];

/** Digits stand in every record of every output. All change: the last ones of a long fraction say nothing. */
function altered(line: string): string {
  return line.replace(/\d/g, (digit) => String((Number(digit) % 9) + 1));
}

/** The first record and one that ends otherwise have exchanged their last fields. */
function swapped([first = '', ...rest]: readonly string[]): string[] {
  const cut = first.lastIndexOf(',"');
  const end = first.slice(cut);
  const partner = rest.findIndex((line) => !line.endsWith(end));
  const other = rest[partner] ?? '';
  const otherCut = other.lastIndexOf(',"');
  const exchanged = other.slice(0, otherCut) + end;
  return [first.slice(0, cut) + other.slice(otherCut), ...rest.with(partner, exchanged)];
}

function spoil(mistake: Mistake, lines: readonly string[]): string[] {
  const [first = '', ...rest] = lines;
  switch (mistake) {
    case 'drop':
      return rest;
    case 'duplicate':
      return [first, first, ...rest];
    case 'swap':
      return swapped(lines);
    case 'alter':
      return [altered(first), ...rest];
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
    if (new Set(lines.map((line) => line.slice(line.lastIndexOf(',"')))).size < 2) continue;
    await writeFile(target, `${spoil(mistake, lines).join('\n')}\n`);
    return copy;
  }
  throw new Error(`there is no committed file of different records in ${output}/${name}`);
}
