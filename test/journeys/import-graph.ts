/**
 * Who imports whom, read from the sources: enough to tell whether two files are joined by a call, or by
 * a third file that hands the one to the other. Types count: a call through an interface needs one.
 */
import { posix } from 'node:path';
import { read, sourceFiles } from '../house/source-tree.js';

const IMPORT = /\bfrom '(\.[^']*)\.js'|\bimport\('(\.[^']*)\.js'\)|new URL\('(\.[^']*)\.js'/g;

export class ImportGraph {
  readonly #importsOf = new Map<string, ReadonlySet<string>>();

  constructor() {
    for (const file of sourceFiles().filter((path) => !path.startsWith('test/'))) {
      const folder = posix.dirname(file);
      const imports = [...read(file).matchAll(IMPORT)].map((match) =>
        posix.join(folder, `${match[1] ?? match[2] ?? match[3] ?? ''}.ts`),
      );
      this.#importsOf.set(file, new Set(imports));
    }
  }

  imports(file: string): ReadonlySet<string> {
    return this.#importsOf.get(file) ?? new Set();
  }

  /**
   * Whether one file imports the other, both are imported by a third that joins them, or both stand on
   * a third (the interface that the one calls and the other implements).
   */
  areJoined(one: string, other: string): boolean {
    if (this.imports(one).has(other) || this.imports(other).has(one)) return true;
    for (const imports of this.#importsOf.values()) {
      if (imports.has(one) && imports.has(other)) return true;
    }
    return [...this.imports(one)].some(
      (file) => !file.startsWith('core/') && this.imports(other).has(file),
    );
  }
}
