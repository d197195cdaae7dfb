/**
 * Entry of the scoring pool's threads: opens a chunk of records, calls the user's module and packs
 * the results. User code runs here and nowhere else in a worker, so whatever it does ends up as one
 * error that names the record. It must never keep anything of a batch once its reply is made.
 */
import { parentPort } from 'node:worker_threads';
import { move } from 'piscina';
import { serializeError } from '../../core/errors.js';
import { loadScoringModule, type ScoringModule } from './scoring-module.js';
import { scoreBatch } from './score-batch.js';
import type { ScoringReply, ScoringStarted, ScoringTask } from './scoring-task.js';

// Stacks of user code then name the author's file and line instead of the bundle's.
process.setSourceMapsEnabled(true);

/** Modules with codecs stay compiled; the oldest gives way when a worker has seen many jobs. */
const MODULES_MAX = 64;
const modules = new Map<string, ScoringModule>();

export default async function scoreTask(task: ScoringTask): Promise<ScoringReply> {
  try {
    const module = await moduleOf(task);
    const started: ScoringStarted = { scoringStarted: task.id };
    parentPort?.postMessage(started);
    return move(await scoreBatch(module, task.chunk)) as Uint8Array;
  } catch (error) {
    return serializeError(error);
  }
}

async function moduleOf(task: ScoringTask): Promise<ScoringModule> {
  const name = JSON.stringify([task.modulePath, task.inputSchema, task.outputSchema]);
  let module = modules.get(name);
  if (module === undefined) {
    module = await loadScoringModule(task);
    const [oldest] = modules.keys();
    if (oldest !== undefined && modules.size >= MODULES_MAX) modules.delete(oldest);
    modules.set(name, module);
  }
  return module;
}
