/**
 * Finds the scoring modules that a job's graph names, and gives each its place in the bundle: the
 * worker finds module n, counted by distinct name in the order of declaration, at `modules/<n>.mjs`.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../core/errors.js';
import type { StreamGraph } from '../core/stream-graph.js';

export interface ScoreModule {
  /** As the job names it: relative to the job file. */
  readonly declared: string;
  /** Absolute path of the source. */
  readonly file: string;
  /** Path in the bundle, without extension. */
  readonly output: string;
}

/** The file itself, or the TypeScript file that an import of the same name would mean. */
async function findSource(file: string): Promise<string | undefined> {
  for (const candidate of [file, file.replace(/\.([cm]?)js$/, '.$1ts')]) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isFile() === true) return candidate;
  }
  return undefined;
}

/** @throws MillraceError BUNDLE_INVALID naming the operator whose module doesn't exist */
export async function findScoreModules(
  graph: StreamGraph,
  places: { readonly jobFolder: string; readonly displayRoot: string },
): Promise<readonly ScoreModule[]> {
  const modules: ScoreModule[] = [];
  for (const { name, module, declaredAt } of graph.nodes) {
    if (module === undefined || modules.some((one) => one.declared === module)) continue;
    const wanted = path.resolve(places.jobFolder, module);
    const file = await findSource(wanted);
    if (file === undefined) {
      throw new MillraceError(
        'BUNDLE_INVALID',
        `operator "${name}" (${declaredAt}) names the scoring module "${module}", but ` +
          `${path.relative(places.displayRoot, wanted)} doesn't exist; give its path relative to the job file`,
      );
    }
    modules.push({ declared: module, file, output: `modules/${modules.length}` });
  }
  return modules;
}
