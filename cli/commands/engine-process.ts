/**
 * `millrace coordinator` and `millrace worker`: this process becomes the one asked for, as it runs
 * in a container. The flags go to its own door unread, which explains them itself.
 */

/** Resolves once the door has been opened; the process then lives, ends and exits as the door says. */
export async function becomeEngineProcess(
  role: 'coordinator' | 'worker',
  flags: readonly string[],
): Promise<void> {
  const main = new URL(`../../${role}/main.js`, import.meta.url);
  process.argv.splice(2, Infinity, ...flags);
  await import(main.href);
}
