/** Entry of the merge thread. It has nothing else to do, so a merge takes no turns. */
import { serializeError } from '../core/errors.js';
import { FileRunStorage } from './file-run-storage.js';
import type { MergeReply, MergeTask } from './merge-task.js';
import { InThreadMerger } from './state/run-merge.js';

export default async function mergeTask({ folder, request }: MergeTask): Promise<MergeReply> {
  const merger = new InThreadMerger(new FileRunStorage(folder), () => Promise.resolve());
  try {
    return { runs: await merger.merge(request) };
  } catch (error) {
    return { error: serializeError(error) };
  }
}
