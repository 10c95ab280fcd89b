// One run of a host in the virtual world, from its start to its crash or its end. The disk outlives it.

import { createHash } from "node:crypto";
import type {
  Clock,
  Digests,
  Disk,
  Host,
  Log,
  LogFields,
  Net,
  Random,
  Timer,
  Timers,
} from "@etcd-ts/base";
import { type DiskFaults, DiskPort, type SimDisk } from "./disk.ts";
import { NetPort, type SimNet } from "./net.ts";
import { Gate, type World } from "./world.ts";

export interface SimHostOptions {
  readonly name: string;
  readonly world: World;
  readonly disk: SimDisk;
  readonly diskFaults: DiskFaults;
  readonly net: SimNet;
  /** Called with every log line. */
  readonly trace?: (line: string) => void;
  /** How fast the monotonic clock of this machine goes; 1 when absent. */
  readonly clockRate?: number;
}

/** Timers fire a little late, as real ones do: never before the clock of their host has come so far. */
const timerSlackMs = 1 / 1024;

/** 2026-01-01: what the wall clocks of the world show at its beginning. */
const epochMs = 1_767_225_600_000;

export class SimHost implements Host {
  readonly name: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly net: Net;
  readonly digests: Digests = nodeDigests;
  readonly log: Log;
  readonly #diskPort: DiskPort;
  readonly #netPort: NetPort;
  readonly #gate: Gate = new Gate();
  readonly #world: World;
  /** Added to the wall clock. */
  wallOffsetMs = 0;

  constructor(options: SimHostOptions) {
    const { world, name } = options;
    const gate = this.#gate;
    const rate = options.clockRate ?? 1;
    this.name = name;
    this.#world = world;
    this.#diskPort = new DiskPort(world, options.disk, options.diskFaults, gate);
    this.#netPort = new NetPort(options.net, name, gate);
    this.disk = this.#diskPort;
    this.net = this.#netPort;
    this.random = world.random.fork(name);
    this.clock = {
      monotonicMs: () => world.nowMs * rate,
      wallMs: () => epochMs + world.nowMs + this.wallOffsetMs,
    };
    this.timers = {
      after: (delayMs: number, fire: () => void): Timer =>
        world.after(Math.max(0, delayMs) / rate + timerSlackMs, fire, gate),
      soon: (run: () => void): void => {
        world.after(0, run, gate);
      },
    };
    this.log = new TraceLog(world, name, options.trace);
  }

  get isAlive(): boolean {
    return !this.#gate.dead;
  }

  /**
   * From now on nothing of this run happens any more. The disk's own `crash` decides what is left.
   * "process": its machine lives on, and tells others that their connections are closed. "machine": nobody is
   * told anything.
   */
  kill(what: "process" | "machine" = "process"): void {
    this.#gate.dead = true;
    this.#diskPort.kill();
    this.#netPort.kill(what === "machine");
  }

  /** Nothing happens for so long, as after SIGSTOP: its connections stay, and what comes in waits. */
  freeze(ms: number): void {
    this.#world.freeze(this.#gate, ms);
  }

  /** As SIGCONT does. */
  thaw(): void {
    this.#world.thaw(this.#gate);
  }
}

const nodeDigests: Digests = {
  sha1: (bytes) => createHash("sha1").update(bytes).digest(),
  sha256: () => {
    const hash = createHash("sha256");
    return {
      update: (bytes) => {
        hash.update(bytes);
      },
      digest: () => hash.digest(),
    };
  },
};

class TraceLog implements Log {
  readonly #world: World;
  readonly #name: string;
  readonly #trace: ((line: string) => void) | undefined;

  constructor(world: World, name: string, trace: ((line: string) => void) | undefined) {
    this.#world = world;
    this.#name = name;
    this.#trace = trace;
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  named(name: string): Log {
    return new TraceLog(this.#world, `${this.#name}/${name}`, this.#trace);
  }

  #write(level: string, message: string, fields: LogFields | undefined): void {
    this.#world.mix(message.length);
    if (this.#trace === undefined) return;
    const shown = fields === undefined ? "" : ` ${JSON.stringify(fields, printable)}`;
    this.#trace(`${this.#world.nowMs.toFixed(3)} ${this.#name} ${level} ${message}${shown}`);
  }
}

function printable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString(16);
  if (value instanceof Error) return value.message;
  return value;
}
