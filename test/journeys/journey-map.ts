/**
 * The journeys as docs/architecture.md tells them: for each the files in order, and whether a step goes
 * over a wire, into another thread or through a mailbox. The document is the only source.
 */
import { read } from '../house/source-tree.js';

export interface JourneyStep {
  readonly file: string;
  /** Whether the document marks it with `=>`: reached by a message and not by a call. */
  readonly byMessage: boolean;
}

export interface Journey {
  readonly name: string;
  readonly steps: readonly JourneyStep[];
}

const SECTION = '## Three journeys';
const STEP = /^(\d+)\. (=> )?`([^`]+)`/;

/** The journeys of the document, in its order. */
export function readJourneys(): Journey[] {
  const text = read('docs/architecture.md');
  const begin = text.indexOf(SECTION);
  const section = text.slice(begin, text.indexOf('\n## ', begin + SECTION.length));
  return section
    .split('\n### ')
    .slice(1)
    .map((part) => {
      const [name = '', ...lines] = part.split('\n');
      const steps = lines.flatMap((line) => {
        const match = STEP.exec(line);
        return match === null ? [] : [{ file: match[3] ?? '', byMessage: match[2] !== undefined }];
      });
      return { name, steps };
    });
}
