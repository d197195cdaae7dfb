/** Keeps what was measured when a measurement beside it is void: the run goes on, and its exit code says so. */

/**
 * @param title what has no result when `measure` fails, for the line to `note`
 * @returns undefined when it failed
 */
export async function unlessVoid<R>(
  title: string,
  note: (text: string) => void,
  measure: () => Promise<R>,
): Promise<R | undefined> {
  try {
    return await measure();
  } catch (error) {
    note(`${title} has no result: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    return undefined;
  }
}
