/**
 * Finds the line of user code that declared an operator, so that an error can show it. It reads a
 * stack trace once per declared operator, when the graph is built; never at run time.
 */
const OWN_FRAME = /[/\\](?:api|dist)[/\\](?:api[/\\])?(?:stream|job|declarations?|declaration-site|environment)\.[jt]s/;

/** `file:line:column` of the nearest frame outside the SDK; "unknown" where the runtime gives none. */
export function declarationSite(): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, declarationSite);
  for (const line of (holder.stack ?? '').split('\n').slice(1)) {
    if (OWN_FRAME.test(line) || line.includes('node:')) continue;
    const match = /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/.exec(line.trim());
    if (match?.[1] !== undefined) return match[1].replace(/^file:\/\//, '');
  }
  return 'unknown';
}
