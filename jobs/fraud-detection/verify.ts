/**
 * Compares what the job committed with the reference: every record that had to be written stands
 * there once, with the right content, and nothing else does. Reads committed files only, so what a
 * killed attempt left unfinished can neither help nor harm.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OutputName } from './outputs.js';
import type { ExpectedOutput, Reference } from './reference.js';
import { canonicalRecord, type CanonicalRecord } from './reference/canonical-record.js';
import { readLines } from './reference/line-reader.js';

export interface OutputDifference {
  readonly expected: number;
  readonly found: number;
  /** Expected and not there. */
  readonly missing: number;
  /** There once more than expected. */
  readonly duplicated: number;
  /** There with another content than expected, or not expected at all. */
  readonly different: number;
}

export interface Verification extends OutputDifference {
  readonly outputs: Readonly<Record<OutputName, OutputDifference>>;
  /** The transactions that raised committed alerts. */
  readonly alerted: ReadonlySet<string>;
}

/**
 * @param directory the job's `output`
 * @throws the system's error when a committed file can't be read; a directory that doesn't exist is empty
 */
export async function verifyOutput(directory: string, reference: Reference): Promise<Verification> {
  const alerted = new Set<string>();
  const compare = async (name: OutputName): Promise<OutputDifference> => {
    const comparison = new OutputComparison(name, reference.outputs[name]);
    for (const file of await committedFiles(join(directory, name))) {
      await readLines(file, (line) => {
        const identity = comparison.add(line);
        if (name === 'alerts' && identity !== undefined) alerted.add(identity);
      });
    }
    return comparison.result();
  };
  const outputs = {
    alerts: await compare('alerts'),
    late: await compare('late'),
    'dead-letters': await compare('dead-letters'),
    'revenue-per-minute': await compare('revenue-per-minute'),
  };
  return { ...sumOf(Object.values(outputs)), outputs, alerted };
}

/** All differences as one. */
export function sumOf(differences: readonly OutputDifference[]): OutputDifference {
  const total = (of: keyof OutputDifference): number =>
    differences.reduce((sum, difference) => sum + difference[of], 0);
  return {
    expected: total('expected'),
    found: total('found'),
    missing: total('missing'),
    duplicated: total('duplicated'),
    different: total('different'),
  };
}

/** The multiset difference of one output, record by record as they are read. */
export class OutputComparison {
  readonly #name: OutputName;
  readonly #expected: ExpectedOutput;
  /** Identity -> contents that have been found as expected. */
  readonly #matched = new Map<string, string[]>();
  /** Identity -> records that stand in the place of an expected one with another content. */
  readonly #altered = new Map<string, number>();
  #found = 0;
  #duplicated = 0;
  #different = 0;

  constructor(name: OutputName, expected: ExpectedOutput) {
    this.#name = name;
    this.#expected = expected;
  }

  /** @returns the record's identity; undefined when the line isn't a record of this output */
  add(line: string): string | undefined {
    this.#found += 1;
    const record = parseRecord(this.#name, line);
    if (record === undefined) {
      this.#different += 1;
      return undefined;
    }
    const { identity, content } = record;
    const matched = this.#matched.get(identity) ?? [];
    const times = (contents: readonly string[]): number =>
      contents.filter((one) => one === content).length;
    const expected = times(this.#expected.get(identity) ?? []);
    if (expected === 0) {
      this.#different += 1;
      this.#altered.set(identity, (this.#altered.get(identity) ?? 0) + 1);
    } else if (times(matched) >= expected) {
      this.#duplicated += 1;
    } else {
      matched.push(content);
      this.#matched.set(identity, matched);
    }
    return identity;
  }

  result(): OutputDifference {
    let expected = 0;
    let missing = 0;
    for (const [identity, contents] of this.#expected) {
      expected += contents.length;
      const accounted =
        (this.#matched.get(identity)?.length ?? 0) + (this.#altered.get(identity) ?? 0);
      missing += Math.max(0, contents.length - accounted);
    }
    return {
      expected,
      found: this.#found,
      missing,
      duplicated: this.#duplicated,
      different: this.#different,
    };
  }
}

/** Committed files have plain names; what is hidden or still pending belongs to nobody yet. */
async function committedFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile() && COMMITTED_NAME.test(entry.name))
    .map((entry) => join(directory, entry.name))
    .sort();
}

const COMMITTED_NAME = /^[^._].*\.ndjson$/;

function parseRecord(name: OutputName, line: string): CanonicalRecord | undefined {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    return undefined;
  }
  return typeof record === 'object' && record !== null ? canonicalRecord(name, record) : undefined;
}
