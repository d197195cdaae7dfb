/**
 * Every bound of the coordinator, each with its reason. A queue or a collection that grows with
 * what others send must have its limit here.
 */

export const COORDINATOR_LIMITS = {
  /** Sessions at once; far more than one coordinator was ever measured with. */
  workersMax: 1_000,
  slotsPerWorkerMax: 1_024,
  /** Control messages; a DeploySlot carries the manifest it restores from. */
  messageBytesMax: 16 * 1024 * 1024,
  /** Messages that a worker hasn't taken yet; one that stops reading is lost, not waited for. */
  unsentMessagesMax: 10_000,
  /** A connection that says nothing must not hold a place. */
  registerTimeoutMs: 10_000,
  /** Part size of FetchBundle; the contract says at most 1 MiB. */
  bundlePartBytes: 256 * 1024,
  fetchBundleTimeoutMs: 120_000,
  /**
   * Pause before a write is asked for again that the store has not answered. These two have no count
   * that ends them, since nothing may be decided before their outcome is known: the compare-and-set
   * that completes a checkpoint, and a job's record. They end with the answer, with a refusal (another
   * coordinator leads), or when this coordinator closes; one is under way per job and kind.
   */
  storageRetryMs: 500,
  /**
   * Age from which a put that has not ended never will: its writer died. Looked for when a coordinator
   * starts; those below a checkpoint go with it. Far above the time that any file takes to be written.
   */
  unfinishedPutAgeMs: 24 * 3_600_000,
  /** Discards that wait for their turn per job; beyond it, the next sweep finds the files. */
  discardsMax: 1_000,
  /** Jobs that have not ended. */
  jobsMax: 200,
  slotRequestsMax: 1_000,
  /** Events that one event's effects may cause before it is taken for an endless loop. */
  jobEventsMax: 100_000,
  /** JSON bodies of the REST API; bundles have their own limit. */
  restBodyBytesMax: 64 * 1024,
  restRequestTimeoutMs: 120_000,
  restConnectionsMax: 256,
} as const;
