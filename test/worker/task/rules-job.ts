/**
 * A job for tests of broadcast state, with what must come of it. Clicks wait until event time has
 * come to them and are then judged by the rules as of their time, so that the result depends on no
 * interleaving; a rule that is lost, repeated or early shows in every later line. Beside it the same
 * rules at a stream without key. A probe among the rules notes what its subtask holds.
 */
import {
  job,
  listState,
  mapState,
  t as types,
  valueState,
  type Infer,
  type Job,
} from '../../../api/index.js';
import { Click, type CommittedLines, type GatedSource } from './slot-job.js';

export const RULES_MAX_PARALLELISM = 16;

/** Of a rule: its click's time and number, and how often it was applied, which is to be once. */
export const Rule = types.record({ at: types.timestamp, n: types.int32, times: types.int32 });
type Rule = Infer<typeof Rule>;

/** A click among the rules that changes nothing. */
export const PROBE: Click = { user: 'probe', n: 0, at: 0 };

/** What probes found: operator, and its rules by name. */
export type Probed = readonly [string, readonly (readonly [string, Rule])[]];

export interface RulesJobOptions {
  readonly clicks: GatedSource;
  readonly rules: GatedSource;
  readonly sink: CommittedLines;
  readonly onProbe?: (probed: Probed) => void;
}

const inTime = { timestamp: (click: Click) => click.at, maxOutOfOrdernessMs: 0 };

export function rulesJob({ clicks, rules, sink, onProbe }: RulesJobOptions): Job {
  return job('rules', { maxParallelism: RULES_MAX_PARALLELISM, watermarkIntervalMs: 1 }, (env) => {
    const stream = env.source('clicks', clicks, { watermarks: inTime });
    const broadcast = env
      .source('rules', rules, { watermarks: inTime })
      .broadcast({ rules: mapState(Rule) });
    const apply =
      (operator: string) =>
      ({ user, n, at }: Click, ctx: { broadcastState: { rules: RuleState } }): void => {
        const { rules: state } = ctx.broadcastState;
        if (user === PROBE.user) return onProbe?.([operator, [...state.entries()]]);
        state.put(`${user}-${n}`, { at, n, times: (state.get(`${user}-${n}`)?.times ?? 0) + 1 });
      };
    stream
      .keyBy((click) => click.user)
      .connect(broadcast)
      .process('judge', {
        state: { waiting: listState(Click), judged: valueState(types.int32) },
        output: types.string,
        onElement: (click, ctx) => {
          ctx.state.waiting.add(click);
          ctx.timers.registerEventTimeTimer(click.at);
        },
        onBroadcastElement: apply('judge'),
        onTimer: (timestamp, ctx) => {
          const waiting = [...ctx.state.waiting.get()].sort((a, b) => a.n - b.n);
          ctx.state.waiting.update(waiting.filter(({ at }) => at > timestamp));
          const due = waiting.filter(({ at }) => at <= timestamp);
          let judged = ctx.state.judged.value() ?? 0;
          const inForce = [...ctx.broadcastState.rules.entries()].map(([, rule]) => rule);
          for (const click of due) ctx.collect(judgement(click, ++judged, inForce));
          ctx.state.judged.update(judged);
        },
      })
      .sinkTo('judgements', sink);
    stream
      .rebalance()
      .connect(broadcast)
      .process('pass', {
        output: types.string,
        onElement: ({ user, n }, ctx) => ctx.collect(`${user} passed with ${n}`),
        onBroadcastElement: apply('pass'),
      })
      .sinkTo('passed', sink);
  });
}

interface RuleState {
  get(key: string): Rule | undefined;
  put(key: string, rule: Rule): void;
  entries(): IterableIterator<[string, Rule]>;
}

function judgement({ user, n, at }: Click, judged: number, rules: readonly Rule[]): string {
  const inForce = rules.filter((rule) => rule.at <= at);
  const times = inForce.reduce((sum, rule) => sum + rule.times, 0);
  const sum = inForce.reduce((total, rule) => total + rule.n, 0);
  return `${user} ${judged}: ${n} under ${times} rules of ${sum}`;
}

/** What the broadcast state of every subtask is once all rules are applied, by name. */
export function expectedRules(rules: readonly (readonly Click[])[]): [string, Rule][] {
  return rules
    .flat()
    .map(({ user, n, at }): [string, Rule] => [`${user}-${n}`, { at, n, times: 1 }])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What all commits must come to, computed without slots. */
export function expectedJudgements(
  clicks: readonly (readonly Click[])[],
  rules: readonly (readonly Click[])[],
): string[] {
  const all = clicks.flat().sort((a, b) => a.at - b.at || a.n - b.n);
  const applied = expectedRules(rules).map(([, rule]) => rule);
  const judged = new Map<string, number>();
  const lines = all.map((click) => {
    judged.set(click.user, (judged.get(click.user) ?? 0) + 1);
    return judgement(click, judged.get(click.user) ?? 0, applied);
  });
  return [...lines, ...all.map(({ user, n }) => `${user} passed with ${n}`)].sort();
}
