/**
 * Every TypeScript snippet of the manual compiles, against the package as a user meets it: by its name,
 * with its published types, under the strict options of this project.
 */
import test from 'ava';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { filesBelow, read, ROOT } from './source-tree.js';

/** Below dist/, so that `millrace` is found as the package that it is inside of. */
const FOLDER = join(ROOT, 'dist', 'snippets');

interface Snippet {
  /** `docs/writing-a-job.md:12` */
  readonly place: string;
  readonly text: string;
}

function snippetsOf(path: string): Snippet[] {
  const text = read(path);
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => ({
    place: `${path}:${text.slice(0, match.index).split('\n').length + 1}`,
    text: match[1] ?? '',
  }));
}

test('every snippet of the manual compiles', (t) => {
  const snippets = ['README.md', ...filesBelow('docs')].flatMap(snippetsOf);
  t.true(snippets.length > 8);
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const placeOf = new Map<string, string>();
  snippets.forEach(({ place, text }, index) => {
    const file = join(FOLDER, `snippet-${index}.ts`);
    writeFileSync(file, text);
    placeOf.set(file, place);
  });
  const program = ts.createProgram([...placeOf.keys()], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    noEmit: true,
  });
  const problems = ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const { file, start, messageText } = diagnostic;
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1;
    const place = placeOf.get(file?.fileName ?? '') ?? file?.fileName ?? 'the snippets';
    return `${place} + ${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
  rmSync(FOLDER, { recursive: true });
  t.deepEqual(problems, []);
});
