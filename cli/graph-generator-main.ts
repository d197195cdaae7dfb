/**
 * The disposable process in which a job's builder runs: the door that graph-generator.ts starts.
 * It answers requests over IPC and is killed afterwards, so whatever user code leaves open ends with
 * it. It must never touch the bundle, the cluster or the terminal itself.
 */
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { isJob } from '../api/job.js';
import { resolvePaths } from '../api/params.js';
import { isMillraceError, MillraceError, serializeError } from '../core/errors.js';
import { checkConnectors } from './connector-check.js';
import type { GeneratorReply, GeneratorRequest } from './graph-generator-messages.js';

/** Says which import fails, and where if the loader knows; undefined for an error of another kind. */
function importFailure(file: string, error: Error): string | undefined {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') {
    const subpath = /subpath '\.\/(.*?)'/.exec(error.message)?.[1] ?? '';
    return `${file} imports "millrace/${subpath}", which this version of millrace doesn't have`;
  }
  if (code === 'ERR_MODULE_NOT_FOUND') return `${file} imports a module that isn't there`;
  if (!(error instanceof SyntaxError)) return undefined;
  // The loader gives the place of a bad import only as the first line of the stack.
  const place = /^(file:\S+:\d+)\n/.exec(error.stack ?? '')?.[1];
  return `${place ?? file}: ${error.message}`;
}

function loadError(file: string, error: unknown): MillraceError {
  if (isMillraceError(error)) return error;
  const importing = error instanceof Error ? importFailure(file, error) : undefined;
  if (importing !== undefined) {
    return new MillraceError('BUNDLE_INVALID', `${importing}; correct the import`, {
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new MillraceError(
    'USER_CODE_FAILED',
    `${file} threw while it was loaded: ${message}; correct the line that the trace begins with`,
    { cause: error },
  );
}

async function load(file: string, sourceName: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw loadError(sourceName, error);
  }
}

async function answer(request: GeneratorRequest): Promise<GeneratorReply> {
  const { default: job, score } = await load(request.file, request.sourceName);
  if (request.kind === 'checkScore') {
    if (typeof score === 'function') return { kind: 'checked' };
    throw new MillraceError(
      'JOB_INVALID',
      `the scoring module ${request.sourceName} has no function "score"; ` +
        'add: export const score: ScoreFunction<In, Out> = (records) => ...',
    );
  }
  if (!isJob(job)) {
    throw new MillraceError(
      'JOB_INVALID',
      `${request.sourceName} doesn't export a job; add: export default job('name', {}, (env) => ...)`,
    );
  }
  const params = resolvePaths(job.params, request.params, request.workingFolder);
  const built = job.build(params);
  if (request.checkIn !== undefined) {
    // The builder is done, and may not depend on it; connectors find their secrets there.
    Object.assign(process.env, request.checkIn);
    await checkConnectors(built);
  }
  return { kind: 'built', graph: built.graph, params };
}

function reply(message: GeneratorReply): void {
  process.send?.(message);
}

function fail(error: unknown): void {
  reply({ kind: 'failed', error: serializeError(error) });
}

process.on('message', (request: GeneratorRequest) => {
  answer(request).then(reply, fail);
});
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

// User code may hold this thread forever, so another one watches for the death of the parent.
new Worker(new URL('./orphan-watch.js', import.meta.url), { workerData: process.ppid }).unref();
