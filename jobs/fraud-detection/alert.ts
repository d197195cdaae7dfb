/** Makes alerts of scored candidates: which ones are raised, how severe they are, and the words. */
import type { Alert, Candidate, Evidence, Score, Severity } from './schemas.js';

/** Least probability of fraud that is worth somebody's time. */
export const ALERT_SCORE_MIN = 0.5;

export function toAlert(candidate: Candidate, score: Score): Alert {
  const { transaction_id, user_id, timestamp, evidence } = candidate;
  return {
    alert_id: `alert-${transaction_id}`,
    transaction_id,
    user_id,
    timestamp,
    reasons: evidence.map(describe),
    evidence,
    score: score.probability,
    severity: severityOf(score.probability),
  };
}

export function isRaised(alert: Alert): boolean {
  return alert.score >= ALERT_SCORE_MIN;
}

function severityOf(probability: number): Severity {
  if (probability < ALERT_SCORE_MIN) return 'low';
  if (probability < 0.8) return 'medium';
  return probability < 0.95 ? 'high' : 'critical';
}

/** One sentence for people; the evidence itself stays in the alert as data. */
export function describe(evidence: Evidence): string {
  switch (evidence.rule) {
    case 'velocity':
      return `${evidence.transactions} purchases within ${evidence.window_seconds} s`;
    case 'amount':
      return (
        `${evidence.price.toFixed(2)} where ${evidence.usual_price.toFixed(2)} is usual ` +
        `(${evidence.z_score.toFixed(1)} deviations above)`
      );
    case 'travel':
      return (
        `${evidence.km.toFixed(0)} km from the last purchase ${evidence.minutes.toFixed(1)} min ago ` +
        `(${evidence.km_per_hour.toFixed(0)} km/h)`
      );
    case 'new_payment_method':
      return (
        `first payment by ${evidence.payment_method}, of ${evidence.price.toFixed(2)} ` +
        `(${evidence.z_score.toFixed(1)} deviations above the usual)`
      );
  }
}
