/**
 * What running jobs write to that no other job of the same name may: a job that is submitted twice by mistake
 * would put everything there twice. Other names are other jobs, which may share a topic.
 */
import { MillraceError } from '../core/errors.js';
import type { StreamGraph } from '../core/stream-graph.js';

interface Claim {
  readonly jobName: string;
  readonly outputs: ReadonlySet<string>;
  /** Of the job: then the claim is over. */
  isEnded: () => boolean;
}

export class ExclusiveOutputs {
  readonly #claims = new Map<string, Claim>();

  /**
   * To be called before a job is taken in; `follow` or `release` come after it.
   * @throws MillraceError OUTPUT_CONFLICT naming the other job, the operator and the output
   */
  claim(jobId: string, graph: StreamGraph): void {
    const { jobName, nodes } = graph;
    for (const [other, claim] of this.#claims) {
      if (claim.isEnded()) this.#claims.delete(other);
      else if (claim.jobName === jobName) {
        for (const { name, exclusiveOutputs = [] } of nodes) {
          const both = exclusiveOutputs.find((output) => claim.outputs.has(output));
          if (both !== undefined) throw conflict(jobName, name, both, other);
        }
      }
    }
    this.#claims.set(
      jobId,
      claimOf(graph, () => false),
    );
  }

  /** The job runs, or is being recovered. */
  follow(jobId: string, graph: StreamGraph, isEnded: () => boolean): void {
    this.#claims.set(jobId, claimOf(graph, isEnded));
  }

  /** The job was not taken in. */
  release(jobId: string): void {
    this.#claims.delete(jobId);
  }
}

function claimOf({ jobName, nodes }: StreamGraph, isEnded: () => boolean): Claim {
  const outputs = new Set(nodes.flatMap(({ exclusiveOutputs = [] }) => exclusiveOutputs));
  return { jobName, outputs, isEnded };
}

function conflict(jobName: string, operator: string, output: string, other: string): MillraceError {
  return new MillraceError(
    'OUTPUT_CONFLICT',
    `job "${jobName}" runs already, as ${other}, and both would write to ${output} (operator ` +
      `"${operator}"); cancel or stop that one first, or give this one another name`,
  );
}
