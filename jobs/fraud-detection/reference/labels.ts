/** The planted frauds of a generated day, and how well a set of alerts found them. */
import { MillraceError } from 'millrace';
import { INCIDENT_KINDS, type Incident } from '../generator/incidents.js';
import { readLines } from './line-reader.js';

export interface Detection {
  /** Incidents planted; a burst of purchases is one. */
  readonly plantedFrauds: number;
  /** Incidents of which at least one transaction raised an alert. */
  readonly caught: number;
  /** Share of alerts that point at a planted fraud; 1 when there are no alerts. */
  readonly precision: number;
  /** Share of planted frauds that were caught; 1 when none were planted. */
  readonly recall: number;
}

/** Reads what the generator wrote. */
export async function readLabels(path: string): Promise<Incident[]> {
  const incidents: Incident[] = [];
  await readLines(path, (line, position) => {
    const label: unknown = JSON.parse(line);
    if (!isIncident(label)) {
      throw new MillraceError(
        'INPUT_INVALID',
        `${path} has no label at byte ${position}; generate it together with its transactions`,
      );
    }
    incidents.push(label);
  });
  return incidents;
}

/** @param alerted the transactions that raised alerts, each once */
export function measureDetection(
  alerted: ReadonlySet<string>,
  incidents: readonly Incident[],
): Detection {
  const fraudulent = new Set(incidents.flatMap((incident) => incident.transaction_ids));
  const rightly = [...alerted].filter((transaction) => fraudulent.has(transaction)).length;
  const caught = incidents.filter((incident) =>
    incident.transaction_ids.some((transaction) => alerted.has(transaction)),
  ).length;
  return {
    plantedFrauds: incidents.length,
    caught,
    precision: alerted.size === 0 ? 1 : rightly / alerted.size,
    recall: incidents.length === 0 ? 1 : caught / incidents.length,
  };
}

function isIncident(value: unknown): value is Incident {
  if (typeof value !== 'object' || value === null) return false;
  const { incident, kind, transaction_ids } = value as Partial<Record<keyof Incident, unknown>>;
  return (
    typeof incident === 'string' &&
    INCIDENT_KINDS.some((known) => known === kind) &&
    Array.isArray(transaction_ids) &&
    transaction_ids.every((id) => typeof id === 'string')
  );
}
