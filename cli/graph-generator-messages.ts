/** What the CLI and the disposable graph generator say to each other; plain data only. */
import type { SerializedError } from '../core/errors.js';
import type { StreamGraph } from '../core/stream-graph.js';
import type { Environment } from './cli-context.js';

interface Target {
  /** Absolute path of the compiled module. */
  readonly file: string;
  /** The user's name for it, for messages. */
  readonly sourceName: string;
}

export type GeneratorRequest = Target &
  (
    | {
        readonly kind: 'build';
        readonly params: Readonly<Record<string, string>>;
        /** Absolute path that relative paths among the parameters are relative to. */
        readonly workingFolder: string;
        /** The environment in which sources and sinks look for what they read and write; without it they don't. */
        readonly checkIn?: Environment;
      }
    | { readonly kind: 'checkScore' }
  );

export type GeneratorReply =
  | {
      readonly kind: 'built';
      readonly graph: StreamGraph;
      /** The parameters with absolute paths. */
      readonly params: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'checked' }
  | { readonly kind: 'failed'; readonly error: SerializedError };
