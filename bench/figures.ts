/** Figures that are no rates: what ours are of the peer's, and whether they stay below their bounds. */
import type { Measurement, Target } from './measurement.js';

type Figures = Readonly<Record<string, number>>;

/** Names of times and sizes, by their units; less of them is better. */
const COST = /Ms|Bytes/;

/** With the ratio of every time and size that both have. */
export function withFigureRatios(ours: Measurement, flink: Measurement | undefined): Measurement {
  if (flink === undefined) return ours;
  const theirs = flink.figures ?? {};
  const ratios = Object.entries(ours.figures ?? {}).flatMap(([name, value]) => {
    const other = theirs[name];
    return !COST.test(name) || other === undefined || other === 0
      ? []
      : [[name, value / other] as const];
  });
  return { ...ours, figureRatiosToFlink: Object.fromEntries(ratios) };
}

/**
 * A target of bounds in the figures' own units.
 * @param text what is to be reached, as people read it
 */
export function atMost(text: string, figures: Figures, figuresMax: Figures): Target {
  return {
    text,
    met: Object.entries(figuresMax).every(([name, most]) => (figures[name] ?? Infinity) <= most),
    figuresMax,
  };
}
