/** Records of an output in one form only, so that they can be compared as texts. */
import { OUTPUTS, type OutputName } from '../outputs.js';

export interface CanonicalRecord {
  readonly identity: string;
  /** JSON with the fields in alphabetical order, at every depth. */
  readonly content: string;
}

/** Equal records give equal texts, whatever the order of their fields; a missing field is one that is undefined. */
export function canonicalRecord(name: OutputName, record: object): CanonicalRecord {
  const { identity, ignored } = OUTPUTS[name];
  const fields = new Map<string, unknown>(Object.entries(record));
  return {
    identity: identity.map((field) => String(fields.get(field))).join('/'),
    content: canonicalJson(
      Object.fromEntries([...fields].filter(([field]) => !ignored.includes(field))),
    ),
  };
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
