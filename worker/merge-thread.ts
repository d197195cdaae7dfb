/** Entry of the merge thread. It has nothing else to do, so a merge takes no turns. */
import { serializeError } from '../core/errors.js';
import { FileRunStorage } from './file-run-storage.js';
import type { MergeReply, MergeTask } from './merge-task.js';
import { RunBuffers } from './state/run-buffers.js';
import { InThreadMerger } from './state/run-merge.js';

const buffers = new RunBuffers();

export default async function mergeTask({ folder, request }: MergeTask): Promise<MergeReply> {
  const storage = new FileRunStorage(folder);
  const merger = new InThreadMerger(storage, () => Promise.resolve(), buffers);
  try {
    return { runs: await merger.merge(request) };
  } catch (error) {
    return { error: serializeError(error) };
  }
}
