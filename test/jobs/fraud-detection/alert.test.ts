import test from 'ava';
import { describe, isRaised, toAlert } from '../../../jobs/fraud-detection/alert.js';
import { score } from '../../../jobs/fraud-detection/model.js';
import type { Candidate, Features } from '../../../jobs/fraud-detection/schemas.js';
import { NOON } from './sample-transaction.js';

const HARMLESS: Features = { velocity: 1, amount_z: 0, speed: 0, new_method: 0, history: 40 };

const candidate: Candidate = {
  transaction_id: 'tx-7',
  user_id: 'user-1',
  timestamp: NOON,
  evidence: [{ rule: 'velocity', transactions: 9, window_seconds: 60 }],
  features: { ...HARMLESS, velocity: 9 },
};

async function probability(changes: Partial<Features>): Promise<number> {
  const [scored] = await score([{ ...HARMLESS, ...changes }]);
  return scored?.probability ?? Number.NaN;
}

test('an alert is named after its transaction and carries evidence and reasons', (t) => {
  const alert = toAlert(candidate, { probability: 0.97 });
  t.deepEqual(alert, {
    alert_id: 'alert-tx-7',
    transaction_id: 'tx-7',
    user_id: 'user-1',
    timestamp: NOON,
    reasons: ['9 purchases within 60 s'],
    evidence: candidate.evidence,
    score: 0.97,
    severity: 'critical',
  });
});

test('severity follows the score, and an alert is raised from 0.5 on', (t) => {
  const alerts = [0.49, 0.5, 0.8, 0.95].map((p) => toAlert(candidate, { probability: p }));
  t.deepEqual(
    alerts.map(({ severity }) => severity),
    ['low', 'medium', 'high', 'critical'],
  );
  t.deepEqual(alerts.map(isRaised), [false, true, true, true]);
});

test('each kind of evidence has its sentence', (t) => {
  t.is(
    describe({ rule: 'amount', price: 500, usual_price: 20, z_score: 6.25 }),
    '500.00 where 20.00 is usual (6.3 deviations above)',
  );
  t.is(
    describe({ rule: 'travel', km: 16_090, minutes: 60, km_per_hour: 16_090 }),
    '16090 km from the last purchase 60.0 min ago (16090 km/h)',
  );
  t.is(
    describe({
      rule: 'new_payment_method',
      payment_method: 'invoice',
      price: 80,
      z_score: 3,
    }),
    'first payment by invoice, of 80.00 (3.0 deviations above the usual)',
  );
});

test('the model lets harmless features pass and is sure of plain frauds', async (t) => {
  t.true((await probability({})) < 0.05);
  t.true((await probability({ velocity: 5 })) < 0.5);
  t.true((await probability({ velocity: 9, amount_z: -2 })) > 0.9);
  t.true((await probability({ amount_z: 7 })) > 0.9);
  t.true((await probability({ speed: 5 })) > 0.5);
  t.true((await probability({ new_method: 1, amount_z: 3 })) > 0.9);
});

test('a score does not depend on the batch that it is computed in', async (t) => {
  const records = Array.from({ length: 50 }, (_, i) => ({
    ...HARMLESS,
    velocity: i % 9,
    amount_z: i / 9,
  }));
  const together = await score(records);
  const alone = await Promise.all(records.map(async (record) => (await score([record]))[0]));
  t.deepEqual([...together], alone);
});
