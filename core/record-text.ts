/** A record as short text for an error message; it must never throw, whatever the record is. */

const LENGTH_MAX = 300;

/** JSON where there is one, with bigints as digits and maps as objects; at most 300 characters. */
export function recordText(record: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(record, (_key, value: unknown) => {
      if (typeof value === 'bigint') return value.toString();
      return value instanceof Map ? Object.fromEntries(value as Map<string, unknown>) : value;
    });
  } catch {
    text = undefined;
  }
  const shown = text ?? typeof record;
  return shown.length > LENGTH_MAX ? `${shown.slice(0, LENGTH_MAX)}...` : shown;
}
