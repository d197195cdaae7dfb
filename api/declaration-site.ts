/**
 * Finds the line of user code that declared an operator, so that an error can show it. It reads a
 * stack trace once per declared operator, when the graph is built; never at run time.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const COMPILED_FOLDER = path.dirname(fileURLToPath(import.meta.url));
/** The SDK's frames show this folder instead where source maps are on. */
const SOURCE_FOLDER = path.resolve(COMPILED_FOLDER, '..', '..', 'api');

/** `file:line:column` of the nearest frame outside the SDK; "unknown" where the runtime gives none. */
export function declarationSite(): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, declarationSite);
  for (const line of (holder.stack ?? '').split('\n').slice(1)) {
    const site = /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/.exec(line.trim())?.[1];
    if (site === undefined || site.startsWith('node:')) continue;
    const file = site.startsWith('file://') ? fileURLToPath(site) : site;
    const folder = path.dirname(file);
    if (folder !== COMPILED_FOLDER && folder !== SOURCE_FOLDER) return file;
  }
  return 'unknown';
}
