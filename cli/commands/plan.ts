/** `millrace plan FILE`: what the cluster would run, without a cluster. */
import { createJobGraph } from '../../core/job-graph.js';
import { createJobPlan, renderJobPlan } from '../../core/job-plan.js';
import { buildJobGraph } from '../bundler.js';
import type { CliContext } from '../cli-context.js';

export interface PlanOptions {
  readonly param: Readonly<Record<string, string>>;
  readonly parallelism?: number;
  readonly json?: boolean;
}

/** Parallelism of a plan where neither the job nor the command says: exchanges show from 2 on. */
const PLAN_PARALLELISM = 2;

export async function planJob(
  context: CliContext,
  file: string,
  options: PlanOptions,
): Promise<void> {
  const graph = await buildJobGraph({
    file,
    params: options.param,
    workingFolder: context.workingFolder,
    signal: context.interrupted,
    onOutput: (text) => context.note(text),
  });
  const given = options.parallelism ?? graph.parallelism;
  const parallelism = given ?? Math.min(PLAN_PARALLELISM, graph.maxParallelism);
  const plan = createJobPlan(createJobGraph(graph, parallelism), given === undefined);
  context.print(options.json === true ? `${JSON.stringify(plan, null, 2)}\n` : renderJobPlan(plan));
}
