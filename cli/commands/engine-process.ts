/**
 * `millrace coordinator` and `millrace worker`: this process becomes the one asked for, as it runs
 * in a container. The flags go to its own door unread, which explains them itself.
 */
export async function becomeEngineProcess(
  role: 'coordinator' | 'worker',
  flags: readonly string[],
): Promise<never> {
  const main = new URL(`../../${role}/main.js`, import.meta.url);
  process.argv.splice(2, Infinity, ...flags);
  await import(main.href);
  // The door holds the process and ends it; the command has nothing to say after it.
  return new Promise<never>(() => undefined);
}
