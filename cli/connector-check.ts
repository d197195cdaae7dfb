/**
 * Has sources and sinks look for what they read and write before a job is submitted, all at once. A
 * mistake is told with the operator's name and place; what takes too long is one, too.
 */
import type { BuiltJob } from '../api/job.js';
import type { Sink } from '../api/sink.js';
import type { Source } from '../api/source.js';
import type { Transformation } from '../api/transformation.js';
import { isMillraceError, MillraceError } from '../core/errors.js';
import { systemClock } from '../process/system-clock.js';

const TIMEOUT_MS = 10_000;

/** @throws MillraceError of the first operator whose connector found something wrong */
export async function checkConnectors({ graph, transformations }: BuiltJob): Promise<void> {
  const checks = [...transformations.values()].map(async ({ node, functions }) => {
    const connector = connectorOf(functions);
    if (connector?.check === undefined) return;
    try {
      await inTime(connector.check({ clock: systemClock, settings: graph }));
    } catch (error) {
      throw located(error, `operator "${node.name}" (${node.declaredAt})`);
    }
  });
  for (const outcome of await Promise.allSettled(checks)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

function connectorOf(
  functions: Transformation['functions'],
): Source<unknown> | Sink<unknown> | undefined {
  if (functions.kind === 'source') return functions.source;
  return functions.kind === 'sink' ? functions.sink : undefined;
}

async function inTime(check: Promise<void>): Promise<void> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = systemClock.setTimer(TIMEOUT_MS, () =>
      reject(
        new MillraceError(
          'BROKER_UNREACHABLE',
          `what it reads or writes was not found after ${TIMEOUT_MS / 1000} s; see that it can be reached from here`,
        ),
      ),
    );
  });
  try {
    await Promise.race([check, late]);
  } finally {
    cancel();
  }
}

function located(error: unknown, at: string): unknown {
  if (!isMillraceError(error)) return error;
  const reason = error.message.slice(error.code.length + 2);
  const remedy =
    error.code === 'BROKER_UNREACHABLE' || error.code === 'REGISTRY_UNREACHABLE'
      ? '; if only the workers reach it: --no-check'
      : '';
  return new MillraceError(error.code, `${at}: ${reason}${remedy}`, { cause: error });
}
