// Between the main thread and the writing thread. One request is under way at a time; each has one answer.

import type { EnvironmentOptions, Sizes } from "./environment.ts";
import type { PackedChunk } from "./packed-batch.ts";

export type Request =
  /** All operations, in one durable transaction. */
  | { readonly kind: "commit"; readonly chunks: readonly PackedChunk[] }
  /** A compact, synced copy of what is committed. */
  | { readonly kind: "copy"; readonly path: string }
  /** Lets go of the environment: the end. */
  | { readonly kind: "release" }
  /**
   * The synced data file at `path` takes the place of the present one, and is opened. The old environment is kept: its map is
   * given back by whoever closes it last, and that takes a while when it is large.
   */
  | { readonly kind: "swap"; readonly path: string }
  /** Nobody reads the oldest of the old environments any more. Has no answer. */
  | { readonly kind: "drop" }
  /** Begins a new data file beside the present one. */
  | { readonly kind: "fill-begin" }
  /** Operations for the new file; not durable yet. */
  | { readonly kind: "fill"; readonly chunks: readonly PackedChunk[] }
  /** The new file becomes durable and is closed. */
  | { readonly kind: "fill-finish" }
  /** Removes what there is of the new file. */
  | { readonly kind: "fill-abort" };

export type Answer =
  | { readonly kind: "done"; readonly chunks: readonly PackedChunk[]; readonly sizes: Sizes }
  | {
      readonly kind: "failed";
      readonly message: string;
      readonly noSpace: boolean;
      /** The file was replaced, and then something failed: nothing can go on. */
      readonly isFinal: boolean;
    };

export interface WriterData {
  readonly environment: EnvironmentOptions;
  /** Number of the database whose keys mostly ascend. */
  readonly ascending: number;
}
