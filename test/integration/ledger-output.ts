/**
 * The oracle of the ledger job: what must stand in its committed output, computed in one thread with
 * nothing of the engine, and the comparison with what stands there. Reads committed files only.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

const START_MS = 1_700_000_000_000;
const ACCOUNTS = 97;
const WINDOW_MS = 500;
const JITTER_MS = 20;

export const LEDGER_OUTPUTS = ['entries', 'totals'] as const;
export type LedgerOutput = (typeof LEDGER_OUTPUTS)[number];

/** Identity of a record -> its line. */
type Expected = ReadonlyMap<string, string>;
export type LedgerReference = Readonly<Record<LedgerOutput, Expected>>;

export interface LedgerVerdict {
  readonly found: number;
  readonly missing: number;
  readonly duplicated: number;
  /** With another content than expected, or not expected at all. */
  readonly different: number;
  /** Entries that stand, in the order of their commits, behind a later one of their account. */
  readonly disordered: number;
}

interface Entry {
  readonly seq: number;
  readonly account: string;
  readonly n: number;
}

interface Total {
  readonly account: string;
  readonly start: number;
}

/** What the job must write for deposits 0..count-1. */
export function ledgerReference(count: number): LedgerReference {
  const deposits = Array.from({ length: count }, (_, seq) => ({
    seq,
    account: `account-${(seq * 31) % ACCOUNTS}`,
    amount: 1 + ((seq * 7) % 101),
    at: START_MS + seq + ((seq * 13) % JITTER_MS),
  })).sort((a, b) => a.at - b.at || a.seq - b.seq);
  const entries = new Map<string, string>();
  const accounts = new Map<string, { n: number; balance: number }>();
  const windows = new Map<
    string,
    { account: string; start: number; deposits: number; sum: number }
  >();
  for (const { seq, account, amount, at } of deposits) {
    const before = accounts.get(account) ?? { n: 0, balance: 0 };
    const booked = { n: before.n + 1, balance: before.balance + amount };
    accounts.set(account, booked);
    entries.set(String(seq), JSON.stringify({ seq, account, ...booked }));
    const start = Math.floor(at / WINDOW_MS) * WINDOW_MS;
    const total = windows.get(`${account}@${start}`) ?? { account, start, deposits: 0, sum: 0 };
    total.deposits += 1;
    total.sum += amount;
    windows.set(`${account}@${start}`, total);
  }
  const totals = new Map([...windows].map(([identity, one]) => [identity, JSON.stringify(one)]));
  return { entries, totals };
}

/** Compares everything committed below `output` with the reference, record by record. */
export async function verifyLedger(
  output: string,
  reference: LedgerReference,
): Promise<LedgerVerdict> {
  const verdicts = await Promise.all(
    LEDGER_OUTPUTS.map(async (name) =>
      compare(reference[name], await committedLines(path.join(output, name)), identities[name]),
    ),
  );
  const sum = (of: keyof LedgerVerdict): number =>
    verdicts.reduce((total, verdict) => total + verdict[of], 0);
  return {
    found: sum('found'),
    missing: sum('missing'),
    duplicated: sum('duplicated'),
    different: sum('different'),
    disordered: sum('disordered'),
  };
}

const identities: Readonly<Record<LedgerOutput, (record: unknown) => string>> = {
  entries: (record) => String((record as Entry).seq),
  totals: (record) => `${(record as Total).account}@${(record as Total).start}`,
};

function compare(
  expected: Expected,
  lines: readonly string[],
  identityOf: (record: unknown) => string,
): LedgerVerdict {
  const matched = new Set<string>();
  const accounted = new Set<string>();
  const numbers = new Map<string, number>();
  let duplicated = 0;
  let different = 0;
  let disordered = 0;
  for (const line of lines) {
    const record = JSON.parse(line) as Partial<Entry>;
    const identity = identityOf(record);
    if (expected.get(identity) !== line) different += 1;
    else if (matched.has(identity)) duplicated += 1;
    else matched.add(identity);
    accounted.add(identity);
    const { account = '', n } = record;
    if (n === undefined) continue;
    if (n < (numbers.get(account) ?? 0)) disordered += 1;
    else numbers.set(account, n);
  }
  const missing = [...expected.keys()].filter((identity) => !accounted.has(identity)).length;
  return { found: lines.length, missing, duplicated, different, disordered };
}

interface Part {
  readonly file: string;
  readonly order: readonly number[];
}

/** Committed files in the order of their commits. */
export async function committedFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .flatMap((file): Part[] => {
      const numbers = /^part-[a-z-]+-(\d+)-(\d+)-(\d+)(?:-r(\d+))?\.ndjson$/.exec(file);
      if (numbers === null) return [];
      const [subtask, checkpoint, index, generation] = numbers.slice(1).map((n) => Number(n ?? 0));
      return [{ file, order: [generation ?? 0, checkpoint ?? 0, subtask ?? 0, index ?? 0] }];
    })
    .sort((a, b) => inOrder(a.order, b.order))
    .map(({ file }) => path.join(folder, file));
}

function inOrder(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

async function committedLines(folder: string): Promise<readonly string[]> {
  const texts = await Promise.all(
    (await committedFiles(folder)).map((file) => readFile(file, 'utf8')),
  );
  return texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');
}
