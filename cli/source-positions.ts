/**
 * Turns positions in compiled modules back into positions in the user's own files, wherever they
 * stand in a text: messages, stack traces, the places that operators were declared at. It reads
 * source maps only; it must never fail on a text or a map that it does not understand.
 */
import { SourceMap, type SourceMapPayload } from 'node:module';
import path from 'node:path';

export interface CompiledModule {
  /** Path within the bundle, such as `job.mjs`. */
  readonly path: string;
  /** The source map (JSON). */
  readonly map: Uint8Array;
}

const POSITION = /(?:file:\/\/)?((?:\/|[A-Za-z]:[\\/])[^\s():]*?\.mjs):(\d+)(?::(\d+))?/g;

export class SourcePositions {
  readonly #folder: string;
  readonly #maps: ReadonlyMap<string, SourceMap>;

  /** @param folder where the compiled modules were loaded from; absolute and free of symbolic links */
  constructor(folder: string, modules: readonly CompiledModule[]) {
    this.#folder = folder;
    this.#maps = new Map(
      modules.map((module) => [
        path.join(folder, module.path),
        new SourceMap(JSON.parse(Buffer.from(module.map).toString('utf8')) as SourceMapPayload),
      ]),
    );
  }

  /**
   * Every position in a compiled module becomes `file:line:column` of its source.
   * @param place gives the path to show for a source path that is relative to the job file's folder
   */
  restore(text: string, place: (source: string) => string): string {
    return text.replace(POSITION, (found, file: string, line: string, column?: string) => {
      const map = this.#maps.get(file);
      if (map === undefined) return found;
      // Entries are 0-based; positions in stack traces are 1-based.
      const entry = map.findEntry(Number(line) - 1, Number(column ?? '1') - 1);
      if (!('originalSource' in entry)) return path.relative(this.#folder, found);
      const source = path.posix.join(
        path.dirname(path.relative(this.#folder, file)),
        entry.originalSource,
      );
      const restored = `${place(source)}:${entry.originalLine + 1}`;
      return column === undefined ? restored : `${restored}:${entry.originalColumn + 1}`;
    });
  }
}
