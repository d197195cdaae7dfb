/** An alert as far as the demo shows it. */

/** Alerts kept for showing; the count goes on. */
export const LATEST_MAX = 5;

export interface AlertLine {
  readonly user: string;
  readonly severity: string;
  readonly reason: string;
}

/** @returns undefined for a text that is no alert */
export function parseAlert(line: string): AlertLine | undefined {
  try {
    const alert = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const { user_id, severity, reasons } = alert;
    const reason: unknown = Array.isArray(reasons) ? reasons[0] : undefined;
    return { user: textOf(user_id), severity: textOf(severity), reason: textOf(reason) };
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
