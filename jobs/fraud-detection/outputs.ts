/** The four outputs of the job, and what of their records is compared with the reference. */

/** Bytes of input that one subtask reads at a time, unless told; which records are late depends on it. */
export const DEFAULT_SPLIT_BYTES = 8 * 1024 * 1024;

export const OUTPUT_NAMES = ['alerts', 'late', 'dead-letters', 'revenue-per-minute'] as const;

/** Also the name of the output's directory, below the job's `output`. */
export type OutputName = (typeof OUTPUT_NAMES)[number];

interface OutputDescription {
  /** The fields that tell its records apart, if the input is what it should be. */
  readonly identity: readonly string[];
  /** Fields that may differ from the reference, because the words are the connector's own. */
  readonly ignored: readonly string[];
}

export const OUTPUTS: Readonly<Record<OutputName, OutputDescription>> = {
  alerts: { identity: ['transaction_id'], ignored: [] },
  late: { identity: ['transaction_id'], ignored: [] },
  'dead-letters': { identity: ['position'], ignored: ['origin', 'reason'] },
  'revenue-per-minute': { identity: ['minute', 'payment_method'], ignored: [] },
};
