/**
 * Finds the cluster that a command speaks to: the address given, else MILLRACE_CLUSTER, else the one
 * that runs on the data folder (its coordinator writes its addresses there).
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { RestClient } from '../api/rest/client.js';
import { MillraceError } from '../core/errors.js';
import type { CliContext } from './cli-context.js';

export const DEFAULT_DATA_FOLDER = '.millrace';
const COORDINATOR_FILE = 'coordinator.json';

export interface ClusterOptions {
  /** HOST:PORT of the REST API. */
  readonly cluster?: string;
  /** The cluster's data folder. */
  readonly data?: string;
}

async function addressFromFolder(context: CliContext, data: string): Promise<string> {
  const file = path.join(data, COORDINATOR_FILE);
  const text = await readFile(path.resolve(context.workingFolder, file), 'utf8').catch(
    () => undefined,
  );
  if (text === undefined) {
    throw new MillraceError(
      'CLUSTER_UNREACHABLE',
      `no cluster runs on the folder ${data}; start one with 'millrace cluster', or say where it is ` +
        'with --cluster HOST:PORT, --data DIR or MILLRACE_CLUSTER',
    );
  }
  const found = parse(text);
  if (
    typeof found !== 'object' ||
    found === null ||
    !('rest' in found) ||
    typeof found.rest !== 'string'
  ) {
    throw new MillraceError(
      'CLUSTER_UNREACHABLE',
      `${file} doesn't say where the cluster is; start the cluster again, or give --cluster HOST:PORT`,
    );
  }
  return found.rest;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws MillraceError CLUSTER_UNREACHABLE when no address is known, USAGE when it is none */
export async function connect(context: CliContext, options: ClusterOptions): Promise<RestClient> {
  const address =
    options.cluster ??
    (options.data === undefined ? context.defaultCluster : undefined) ??
    (await addressFromFolder(context, options.data ?? DEFAULT_DATA_FOLDER));
  const { RestClient } = await import('../api/rest/client.js');
  return new RestClient({ address });
}
