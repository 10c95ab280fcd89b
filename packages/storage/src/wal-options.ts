import type { Clock, Disk, Log, Timers } from "@etcd-ts/base";

/** What the log needs of a `Host`. */
export interface WalHost {
  readonly disk: Disk;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Log;
}

export interface WalOptions {
  /** Default 64,000,000, as etcd. */
  readonly segmentBytes?: number;
  /** How many segments are kept at least, needed or not; 0 keeps all for ever. Default 5. */
  readonly segmentsKept?: number;
  readonly observer?: WalObserver;
}

export interface WalObserver {
  /** A write reached the file, with or without a sync. */
  written?(bytes: number): void;
  synced?(durationMs: number): void;
}

export type WalDone = (error: Error | undefined) => void;
