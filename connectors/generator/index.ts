/** The public door of the generator: `import { generatorSource } from 'millrace/generator'`. */
export { generatorSource, type GeneratorOptions } from './generator-source.js';
export type { GeneratorSplit } from './generator-split.js';
