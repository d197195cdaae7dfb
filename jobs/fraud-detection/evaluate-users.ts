/**
 * The heart of the job: puts each user's transactions into event-time order and lets the rules see
 * them one by one. A transaction waits in keyed state until the watermark passes it; after that no
 * earlier one can come, so the result does not depend on the order in which they arrived. One that
 * comes behind the watermark all the same is never judged out of order: it goes to `late`.
 */
import { mapState, t, valueState, type ProcessFunction } from 'millrace';
import { byEventTime } from './event-time-order.js';
import { EMPTY_PROFILE, profileSchema } from './profile.js';
import { evaluate } from './rules.js';
import { candidateSchema, transactionSchema, type Candidate, type Transaction } from './schemas.js';

const state = {
  /** Event time -> the transactions of that instant; each entry has a timer of its own. */
  waiting: mapState(t.array(transactionSchema)),
  profile: valueState(profileSchema),
};
const sideOutputs = { late: transactionSchema };

export const evaluateUsers: ProcessFunction<
  string,
  Transaction,
  typeof state,
  Candidate,
  typeof sideOutputs
> = {
  state,
  output: candidateSchema,
  sideOutputs,

  onElement(transaction, ctx) {
    if (transaction.timestamp <= ctx.watermark) {
      ctx.sideOutput('late', transaction);
      return;
    }
    const instant = String(transaction.timestamp);
    ctx.state.waiting.put(instant, [...(ctx.state.waiting.get(instant) ?? []), transaction]);
    ctx.timers.registerEventTimeTimer(transaction.timestamp);
  },

  onTimer(timestamp, ctx) {
    const instant = String(timestamp);
    const due = ctx.state.waiting.get(instant) ?? [];
    ctx.state.waiting.remove(instant);
    let profile = ctx.state.profile.value() ?? EMPTY_PROFILE;
    for (const transaction of [...due].sort(byEventTime)) {
      const judged = evaluate(profile, transaction);
      profile = judged.profile;
      if (judged.candidate !== undefined) ctx.collect(judged.candidate);
    }
    ctx.state.profile.update(profile);
  },
};
