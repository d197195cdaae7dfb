/**
 * `npm run bench -- report`: draws the results that were kept as plots, and writes their tables
 * into docs/performance.md, between two marks. What stands around the marks is written by people.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { RESULTS_FOLDER, type ResultsDocument } from '../results.js';
import { plotsOf } from './plots.js';
import { chooseRows } from './result-rows.js';
import { tablesOf } from './tables.js';

const DOCUMENT = path.join('docs', 'performance.md');
const PLOTS_FOLDER = path.join('docs', 'plots');
const BEGIN = '<!-- report: written by `npm run bench -- report` -->';
const END = '<!-- end of report -->';

/** @returns the files that were written */
export async function writeReport(benchmarks: readonly string[]): Promise<readonly string[]> {
  const names = (await readdir(RESULTS_FOLDER)).filter((name) => name.endsWith('.json'));
  const documents = await Promise.all(
    names.map(
      async (name) =>
        JSON.parse(await readFile(path.join(RESULTS_FOLDER, name), 'utf8')) as ResultsDocument,
    ),
  );
  const rows = chooseRows(documents, benchmarks);
  const plots = await plotsOf(rows);
  await mkdir(PLOTS_FOLDER, { recursive: true });
  const files = [...plots].map(([file, svg]) => ({ file: path.join(PLOTS_FOLDER, file), svg }));
  for (const { file, svg } of files) await writeFile(file, `${svg}\n`);
  const images = [...plots.keys()].map((file) => `![${altOf(file)}](plots/${file})`).join('\n');
  const text = replaceReport(await readFile(DOCUMENT, 'utf8'), `${tablesOf(rows)}\n${images}`);
  const options = await resolveConfig(DOCUMENT);
  await writeFile(DOCUMENT, await format(text, { ...options, filepath: DOCUMENT }));
  return [DOCUMENT, ...files.map(({ file }) => file)];
}

/** @throws Error when the document has lost its marks */
export function replaceReport(document: string, report: string): string {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (from < 0 || to < from) {
    throw new Error(`${DOCUMENT} has no place for the report; put "${BEGIN}" and "${END}" back`);
  }
  return `${document.slice(0, from + BEGIN.length)}\n\n${report}\n\n${document.slice(to)}`;
}

function altOf(file: string): string {
  return path.basename(file, '.svg').replaceAll('-', ' ');
}
