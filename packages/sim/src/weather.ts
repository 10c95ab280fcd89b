// What the network and the disks of a world are like at the moment. Plain fields that a scenario, or the
// nemesis of a swarm, changes while the members run.

import { DiskError, type SeededRandom } from "@etcd-ts/base";
import type { DiskFaults, DiskOperation } from "./disk.ts";
import type { NetFaults } from "./net.ts";

export interface NetWeatherOptions {
  /** Least virtual ms on the way, and the mean of what chance adds. */
  readonly latencyMs?: number;
  readonly jitterMs?: number;
  readonly unacknowledgedMsMax?: number;
}

export class NetWeather implements NetFaults {
  readonly unacknowledgedMsMax: number;
  readonly #random: SeededRandom;
  /** `from>to` of directions in which nothing gets through. */
  readonly #cuts = new Set<string>();
  baseMs: number;
  jitterMs: number;
  /** One in so many deliveries takes `spikeMs` longer; 0: none. */
  spikeOneIn = 0;
  spikeMs = 0;
  /** Each wire carries so much; 0: no limit. */
  bandwidthBytesPerMs = 0;
  /** Called when cuts changed. */
  onCutsChanged: () => void = () => {};

  constructor(random: SeededRandom, options: NetWeatherOptions = {}) {
    this.#random = random;
    this.baseMs = options.latencyMs ?? 0.2;
    this.jitterMs = options.jitterMs ?? 0.1;
    this.unacknowledgedMsMax = options.unacknowledgedMsMax ?? 20_000;
  }

  get isCalm(): boolean {
    return this.#cuts.size === 0 && this.spikeOneIn === 0 && this.bandwidthBytesPerMs === 0;
  }

  latencyMs(_from: string, _to: string): number {
    const dice = (this.#random.next32() + 1) / 0x1_0000_0001;
    let ms = this.baseMs - this.jitterMs * Math.log(dice);
    if (this.spikeOneIn > 0 && this.#random.below(this.spikeOneIn) === 0) {
      ms += this.#random.below(this.spikeMs) + 1;
    }
    return ms;
  }

  bytesPerMs(): number {
    return this.bandwidthBytesPerMs;
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from}>${to}`);
  }

  /** Nothing gets from `from` to `to` any more. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
    this.onCutsChanged();
  }

  heal(): void {
    this.#cuts.clear();
    this.spikeOneIn = 0;
    this.bandwidthBytesPerMs = 0;
    this.onCutsChanged();
  }
}

export class DiskWeather implements DiskFaults {
  readonly #random: SeededRandom;
  /** Mean virtual ms of a sync, and of everything else. */
  syncMs = 1;
  otherMs = 0.05;
  /** Nothing that changes the disk comes to its end. */
  hung = false;
  /** Syncs, or writes, fail. */
  failing: "none" | "sync" | "write" = "none";
  /** It has failed since this was set to false: what the member did since may be due to that. */
  wasFaulty = false;
  /** Called before an operation that changes something. */
  onChange: (operation: DiskOperation, path: string) => void = () => {};

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  latencyMs(operation: DiskOperation, _bytes: number): number {
    const mean = operation === "sync" || operation === "syncDirectory" ? this.syncMs : this.otherMs;
    return mean * (0.5 + this.#random.below(1000) / 1000);
  }

  hangs(operation: DiskOperation, _path: string): boolean {
    return this.hung && operation !== "read" && operation !== "open" && operation !== "list";
  }

  before(operation: DiskOperation, path: string): void {
    if (operation === "read" || operation === "open" || operation === "list") return;
    this.onChange(operation, path);
    if (this.failing === "none") return;
    const isSync = operation === "sync" || operation === "syncDirectory";
    if (isSync === (this.failing === "sync")) {
      this.wasFaulty = true;
      throw new DiskError("io", path, `${path}: input/output error`);
    }
  }

  heal(): void {
    this.hung = false;
    this.failing = "none";
    this.syncMs = 1;
  }
}
