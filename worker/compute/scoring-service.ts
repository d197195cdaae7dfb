/**
 * What the scoring operator sees of the worker's thread pool: batches of encoded records go in,
 * batches of encoded results come out, in any order. It must never see user functions or records.
 */

export interface ScoringRequest {
  /** Absolute path of the compiled scoring module; it exports `score`. */
  readonly modulePath: string;
  /** As the job names the module: what messages call it. */
  readonly moduleName: string;
  /** SchemaJson of the records and of the results, as JSON text. */
  readonly inputSchema: string;
  readonly outputSchema: string;
  /** A chunk of the record codec; it is transferred and must not be used afterwards. */
  readonly chunk: Uint8Array;
  readonly timeoutMs: number;
}

export interface ScoringService {
  /**
   * Resolves with a chunk of results, as many as records and in their order.
   * Rejects with SCORE_FAILED naming the record (its index and text) or SCORE_TIMEOUT.
   */
  score(request: ScoringRequest): Promise<Uint8Array>;
}
