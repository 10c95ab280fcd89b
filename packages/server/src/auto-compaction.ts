// Auto compaction, as a part of the member: the leader compacts from time to time.
//
// periodic  Notes the revision ten times per interval (the period, at most an hour) and compacts to the one
//           noted a period ago, so that the history of that period stays.
// revision  Every five minutes compacts to the present revision less the retention.
//
// Every member notes revisions, so that a new leader can go on at once; only the leader compacts.

import { CompactionRequest, encodeCompactionRequest } from "@etcd-ts/api";
import type { Timer } from "@etcd-ts/base";
import type { ApplyOutcome } from "@etcd-ts/machine";
import { durationText } from "./duration-text.ts";
import { Operation } from "./envelope.ts";
import { Proposal } from "./proposals.ts";
import type { Refusal } from "./refusals.ts";
import type { MemberContext, MemberPart } from "./seams.ts";

/** What to keep; the daemon reads it from `--auto-compaction-mode` and `-retention`. */
export type Retention =
  | { readonly mode: "off" }
  | { readonly mode: "periodic"; readonly periodMs: number }
  | { readonly mode: "revision"; readonly revisions: number };

/** A part of the member, or undefined when nothing is to be compacted. */
export function createCompactionPart(
  context: MemberContext,
  retention: Retention,
): MemberPart | undefined {
  switch (retention.mode) {
    case "off":
      return undefined;
    case "periodic":
      return new PeriodicCompactor(context, retention.periodMs);
    case "revision":
      return new RevisionCompactor(context, retention.revisions);
    default:
      return retention satisfies never;
  }
}

const hourMs = 3_600_000;
const revisionTickMs = 300_000;

abstract class Compactor implements MemberPart {
  readonly methods = {};
  readonly context: MemberContext;
  readonly #mode: string;
  readonly #tickMs: number;
  #timer: Timer | undefined;
  #isRunning = false;
  /** Of the last compaction that succeeded. */
  lastRevision = 0;

  constructor(context: MemberContext, mode: string, tickMs: number) {
    this.context = context;
    this.#mode = mode;
    this.#tickMs = tickMs;
    this.#wait();
  }

  /** The revision to compact to now; 0 for none. */
  protected abstract wanted(): number;
  protected abstract succeeded(): void;

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(): void {
    this.#timer = this.context.host.timers.after(this.#tickMs, () => {
      this.#wait();
      this.#tick();
    });
  }

  #tick(): void {
    const revision = this.wanted();
    if (!this.context.isLeader || this.context.isStopping || this.#isRunning) return;
    if (revision <= 0 || revision === this.lastRevision) return;
    const { log, clock } = this.context.host;
    const fields = { revision };
    log.info(`starting auto ${this.#mode} compaction`, fields);
    const startMs = clock.monotonicMs();
    this.#isRunning = true;
    const request = new CompactionRequest();
    request.revision = BigInt(revision);
    const ended = (problem: string | undefined): void => {
      this.#isRunning = false;
      const took = { ...fields, took: durationText(clock.monotonicMs() - startMs) };
      if (problem !== undefined) {
        log.warn(`failed auto ${this.#mode} compaction`, { ...took, error: problem });
        return;
      }
      this.lastRevision = revision;
      this.succeeded();
      log.info(`completed auto ${this.#mode} compaction`, took);
    };
    const proposal = new CompactionProposal(ended);
    this.context.propose(Operation.compaction, encodeCompactionRequest(request), proposal);
  }
}

class PeriodicCompactor extends Compactor {
  readonly #intervalMs: number;
  readonly #noted: number[] = [];
  readonly #notedMax: number;
  #sinceMs: number;
  /** A whole period at first, then an interval. */
  #waitMs: number;

  constructor(context: MemberContext, periodMs: number) {
    const intervalMs = Math.min(periodMs, hourMs);
    const tickMs = intervalMs / 10;
    super(context, "periodic", tickMs);
    this.#intervalMs = intervalMs;
    this.#notedMax = Math.floor(periodMs / tickMs) + 1;
    this.#sinceMs = context.host.clock.monotonicMs();
    this.#waitMs = periodMs;
    this.#noted.push(context.machine.revision);
  }

  protected override wanted(): number {
    // Noted a tick ago at the latest: what came since stays.
    const oldest = this.#noted[0] ?? 0;
    const waited = this.context.host.clock.monotonicMs() - this.#sinceMs;
    this.#noted.push(this.context.machine.revision);
    if (this.#noted.length > this.#notedMax) this.#noted.shift();
    return waited >= this.#waitMs ? oldest : 0;
  }

  protected override succeeded(): void {
    this.#sinceMs = this.context.host.clock.monotonicMs();
    this.#waitMs = this.#intervalMs;
  }
}

class RevisionCompactor extends Compactor {
  readonly #kept: number;

  constructor(context: MemberContext, kept: number) {
    super(context, "revision", revisionTickMs);
    this.#kept = kept;
  }

  protected override wanted(): number {
    return Math.max(0, this.context.machine.revision - this.#kept);
  }

  protected override succeeded(): void {}
}

class CompactionProposal extends Proposal {
  readonly #ended: (problem: string | undefined) => void;

  constructor(ended: (problem: string | undefined) => void) {
    super();
    this.#ended = ended;
  }

  override applied(outcome: ApplyOutcome): void {
    // Somebody else has compacted further already.
    const { error } = outcome;
    this.#ended(error === undefined || error === "compacted" ? undefined : error);
  }

  override refused(refusal: Refusal): void {
    this.#ended(refusal.message);
  }
}
