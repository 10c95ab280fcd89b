// Between the main thread and the writing thread. One request is under way at a time; each has one answer.

import type { EnvironmentOptions, Sizes } from "./environment.ts";
import type { PackedChunk } from "./packed-batch.ts";

export type Request =
  /** All operations, in one durable transaction. */
  | { readonly kind: "commit"; readonly chunks: readonly PackedChunk[] }
  /** A compact, synced copy of what is committed. */
  | { readonly kind: "copy"; readonly path: string }
  /** Lets go of the environment, so that the file can be replaced. */
  | { readonly kind: "release" }
  | { readonly kind: "acquire" };

export type Answer =
  | { readonly kind: "done"; readonly chunks: readonly PackedChunk[]; readonly sizes: Sizes }
  | { readonly kind: "failed"; readonly message: string; readonly noSpace: boolean };

export interface WriterData {
  readonly environment: EnvironmentOptions;
  /** Number of the database whose keys mostly ascend. */
  readonly ascending: number;
}
