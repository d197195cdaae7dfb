/**
 * The scoring module: a network of one hidden layer that the job runs in the worker's thread pool.
 * It is loaded in another thread than the job, so the two share nothing but the records. The hidden
 * units are hinges at the rules' limits, chosen by hand so that the weights can be read; the output
 * layer was fitted by logistic regression on the candidates of two generated days (seeds 7 and 8),
 * which are not the days that the job is shown with.
 */
import type { ScoreFunction } from 'millrace';
import type { Features, Score } from './schemas.js';

interface HiddenUnit {
  /** What goes into the unit before it is cut off at 0. */
  readonly activate: (features: Features) => number;
  /** What a unit of it adds to the log-odds of fraud. */
  readonly weight: number;
}

const HIDDEN: readonly HiddenUnit[] = [
  // A price below the usual: alone harmless, in a burst the trying out of a stolen card.
  { activate: (f) => -f.amount_z - 0.5, weight: 3.03 },
  // Each purchase more within a minute, with less and less to add.
  { activate: (f) => f.velocity - 4, weight: 1.66 },
  { activate: (f) => f.velocity - 6, weight: -1.09 },
  // A price above the usual.
  { activate: (f) => f.amount_z - 3.5, weight: 4.71 },
  { activate: (f) => f.amount_z - 5, weight: -2.42 },
  // The same when the payment method is new; without a new method the hinge is out of reach.
  { activate: (f) => f.amount_z + 10 * f.new_method - 11.8, weight: 2.92 },
  { activate: (f) => f.new_method, weight: 5.09 },
  // Too fast a journey; how much too fast tells nothing more.
  { activate: (f) => Math.min(f.speed, 1), weight: 7.82 },
  // Little is known of the user yet.
  { activate: (f) => 1 - f.history / 30, weight: -1.22 },
];

const BIAS = -5.22;

/** One probability per record, in order. Depends on nothing but the record, so batches may fall as they like. */
export const score: ScoreFunction<Features, Score> = (records) => records.map(scoreOne);

function scoreOne(features: Features): Score {
  let logOdds = BIAS;
  for (const { activate, weight } of HIDDEN) logOdds += weight * Math.max(0, activate(features));
  return { probability: 1 / (1 + Math.exp(-logOdds)) };
}
