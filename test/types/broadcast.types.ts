/**
 * Type tests of broadcast state: this file compiles only if types run from both streams to the sink.
 * Every `@ts-expect-error` marks a line that must not compile. Nothing here runs.
 */
import { job, mapState, t, valueState, type Sink, type Source } from '../../api/index.js';

const Payment = t.record({ user: t.string, amount: t.float64 });
const Rule = t.record({ id: t.string, limit: t.float64 });
const Alert = t.record({ user: t.string, rule: t.string });
type Payment = t.infer<typeof Payment>;
type Rule = t.infer<typeof Rule>;
type Alert = t.infer<typeof Alert>;

declare const payments: Source<Payment>;
declare const rules: Source<Rule>;
declare const alerts: Sink<Alert>;
declare const paymentSink: Sink<Payment>;

export default job('types', {}, (env) => {
  const stream = env.source('payments', payments);
  const changes = env.source('rules', rules);
  const broadcast = changes.broadcast({ rules: mapState(Rule), counts: mapState(t.int32) });
  // @ts-expect-error only maps can be broadcast
  changes.broadcast({ rules: valueState(Rule) });
  // @ts-expect-error a broadcast stream can only be connected
  broadcast.map('no', (rule) => rule);
  // @ts-expect-error a stream that is not broadcast
  stream.connect(changes);

  const judged = stream
    .keyBy((payment) => payment.user)
    .connect(broadcast)
    .process('judge', {
      state: { sum: valueState(t.float64) },
      output: Alert,
      sideOutputs: { large: Payment },
      onElement: (payment, ctx) => {
        const key: string = ctx.key;
        const amount: number = payment.amount;
        const rule: Rule | undefined = ctx.broadcastState.rules.get(key);
        for (const [id, { limit }] of ctx.broadcastState.rules.entries()) {
          const sum: number = (ctx.state.sum.value() ?? 0) + limit;
          ctx.state.sum.update(sum);
          ctx.collect({ user: id, rule: rule?.id ?? '' });
        }
        ctx.sideOutput('large', payment);
        ctx.timers.registerEventTimeTimer(amount);
        // @ts-expect-error the stream beside the broadcast one can't change its state
        ctx.broadcastState.rules.put('a', { id: 'a', limit: 1 });
        // @ts-expect-error nor remove from it
        ctx.broadcastState.rules.remove('a');
        // @ts-expect-error no such state
        void ctx.broadcastState.sum;
      },
      onBroadcastElement: (rule, ctx) => {
        const limit: number = rule.limit;
        const before: number | undefined = ctx.broadcastState.counts.get(rule.id);
        ctx.broadcastState.rules.put(rule.id, rule);
        ctx.broadcastState.counts.put(rule.id, (before ?? 0) + limit);
        ctx.collect({ user: '', rule: rule.id });
        // @ts-expect-error the state holds rules
        ctx.broadcastState.rules.put(rule.id, limit);
        // @ts-expect-error there is no key, hence no keyed state
        void ctx.state;
        // @ts-expect-error nor timers
        void ctx.timers;
        // @ts-expect-error not what the operator puts out
        ctx.collect(rule);
      },
      onTimer: (timestamp, ctx) => {
        const isEmpty: boolean = ctx.broadcastState.rules.isEmpty();
        void [timestamp, isEmpty, ctx.timeDomain];
        // @ts-expect-error timers can't change it either
        ctx.broadcastState.rules.clear();
      },
    });
  judged.sinkTo('alerts', alerts);
  judged.sideOutput('large').sinkTo('large', paymentSink);
  // @ts-expect-error the operator puts out alerts
  judged.sinkTo('wrong', paymentSink);

  stream
    .connect(broadcast)
    .process('tag', {
      output: Alert,
      onElement: (payment, ctx) => {
        const rule: Rule | undefined = ctx.broadcastState.rules.get(payment.user);
        ctx.collect({ user: payment.user, rule: rule?.id ?? '' });
        // @ts-expect-error a stream without key has no keyed state
        void ctx.state;
        // @ts-expect-error nor a key
        void ctx.key;
        // @ts-expect-error nor may it change the broadcast state
        ctx.broadcastState.counts.put('a', 1);
      },
      onBroadcastElement: (rule, ctx) => ctx.broadcastState.rules.put(rule.id, rule),
    })
    .sinkTo('tags', alerts);
});
