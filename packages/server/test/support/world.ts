// A small deterministic world for tests of one member: a clock that moves only when nothing else is left to
// do, timers, and a disk that forgets what was not synced when it crashes. `MemberWorld.until` runs one event
// at a time and lets promises settle in between.

import { createHash } from "node:crypto";
import type { Clock, Digests, Hasher, Host, Log, LogFields, Net, Timers } from "@etcd-ts/base";
import { SeededRandom } from "@etcd-ts/base";
import { MemoryDisk } from "./memory-disk.ts";

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  cancelled: boolean;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

/** Lets all microtasks run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class World {
  nowMs = 1000;
  /** Every event of the loop costs this much time. */
  eventCostMs = 0.001;
  readonly disk: MemoryDisk;
  readonly lines: LogLine[] = [];
  #timers: Scheduled[] = [];
  #soon: (() => void)[] = [];
  #order = 0;
  #generation = 0;

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.disk = disk;
    disk.attach((fire) => this.later(0.2, fire));
  }

  /** A host for one life of a member; `kill` silences it. */
  host(): Host {
    const generation = this.#generation;
    const alive = (fire: () => void) => () => {
      if (generation === this.#generation) fire();
    };
    const clock: Clock = {
      monotonicMs: () => this.nowMs,
      wallMs: () => 1_700_000_000_000 + this.nowMs,
    };
    const timers: Timers = {
      after: (delayMs, fire) => {
        const scheduled = this.#schedule(delayMs, alive(fire));
        return {
          cancel: () => {
            scheduled.cancelled = true;
          },
        };
      },
      soon: (run) => {
        this.#soon.push(alive(run));
      },
    };
    return {
      clock,
      timers,
      random: new SeededRandom(7),
      disk: this.disk.life(() => generation === this.#generation),
      net: noNet,
      digests,
      log: this.#log(""),
    };
  }

  later(delayMs: number, fire: () => void): void {
    this.#schedule(delayMs, fire);
  }

  /** Nothing of the hosts made so far happens any more. */
  kill(): void {
    this.#generation++;
  }

  /** Runs events until `condition` holds; fails after `limitMs` of virtual time. */
  async until(condition: () => boolean, limitMs = 60_000): Promise<void> {
    const endMs = this.nowMs + limitMs;
    await settle();
    while (!condition()) {
      if (this.nowMs > endMs) throw new Error("the condition did not come true in time");
      if (!this.#step()) throw new Error("nothing is left to happen");
      await settle();
    }
  }

  async run(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    this.later(durationMs, () => {});
    await this.until(() => this.nowMs >= endMs, durationMs + 1);
  }

  async settled<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let result: { value: T } | { error: unknown } | undefined;
    promise.then(
      (value) => {
        result = { value };
      },
      (error: unknown) => {
        result = { error };
      },
    );
    await this.until(() => result !== undefined, limitMs);
    if ("error" in result!) throw result.error;
    return result!.value;
  }

  #step(): boolean {
    this.nowMs += this.eventCostMs;
    if (this.#soon.length > 0) {
      const runs = this.#soon;
      this.#soon = [];
      for (const run of runs) run();
      return true;
    }
    let first: Scheduled | undefined;
    for (const timer of this.#timers) {
      if (
        first === undefined ||
        timer.atMs < first.atMs ||
        (timer.atMs === first.atMs && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    if (first === undefined) return false;
    this.#timers.splice(this.#timers.indexOf(first), 1);
    if (first.cancelled) return true;
    if (first.atMs > this.nowMs) this.nowMs = first.atMs;
    first.fire();
    return true;
  }

  #schedule(delayMs: number, fire: () => void): Scheduled {
    const scheduled = { atMs: this.nowMs + delayMs, order: this.#order++, fire, cancelled: false };
    this.#timers.push(scheduled);
    return scheduled;
  }

  #log(name: string): Log {
    const at = (level: string) => (message: string, fields?: LogFields) => {
      this.lines.push({ level, message: name === "" ? message : `${name}: ${message}`, fields });
    };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      named: (inner) => this.#log(inner),
    };
  }
}

const noNet: Net = {
  listen: () => Promise.reject(new Error("this world has no network")),
  dial: () => {
    throw new Error("this world has no network");
  },
};

export const digests: Digests = {
  sha1: (bytes) => createHash("sha1").update(bytes).digest(),
  sha256: (): Hasher => {
    const hash = createHash("sha256");
    return {
      update: (bytes) => {
        hash.update(bytes);
      },
      digest: () => hash.digest(),
    };
  },
};
