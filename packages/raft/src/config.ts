// What a node is told at birth. Defaults are filled in here, once; the rest of the package sees only
// `NormalizedConfig`.

import type { Random } from "@etcd-ts/base";
import { isStorageThread, noNode } from "./ids.ts";
import type { LogReader } from "./log-reader.ts";
import { type RaftLogger, silentLogger } from "./logger.ts";

/**
 * How a read learns that its leader still is one (thesis §6.4): by a round of heartbeats ("safe"), or from
 * the clock ("lease"), which is only as good as the clocks and needs `checkQuorum`.
 */
export type ReadMode = "safe" | "lease";

export interface RaftConfig {
  /** Not zero, and not one of the two ids of storage threads. */
  readonly id: bigint;
  readonly log: LogReader;
  /** Source of the election timeouts. */
  readonly random: Pick<Random, "below">;
  readonly logger?: RaftLogger;
  /** Ticks without a leader before a campaign; each timeout is drawn from [n, 2n - 1]. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** After a restart: what the application has applied already. */
  readonly applied?: number;
  /** Storage runs beside the node, see `RawNode`. */
  readonly asyncStorageWrites?: boolean;
  /**
   * Vote requests leave before their term and the vote for oneself are durable, as upstream's do with asynchronous writes. To
   * compare with upstream only: a candidate that crashes then asks once more in the same term, with a shorter log, and
   * may lead a second time in it, by old answers even without what was committed.
   */
  readonly earlyVoteRequests?: boolean;
  /** Encoded bytes of the entries in one append; an entry alone may be larger. No limit by default. */
  readonly messageBytesMax?: number;
  /** Encoded bytes handed out to be applied and not acknowledged; `messageBytesMax` by default. */
  readonly applyBytesMax?: number;
  /** Payload bytes proposed and not yet applied; beyond it, proposals are dropped. No limit by default. */
  readonly uncommittedBytesMax?: number;
  /** Appends on the way to one follower. */
  readonly inflightMessagesMax: number;
  /** Payload bytes on the way to one follower, at least `messageBytesMax`. No limit by default. */
  readonly inflightBytesMax?: number;
  /** A leader that hears from no quorum steps down, and who hears from a leader grants no votes. */
  readonly checkQuorum?: boolean;
  /** Ask first whether a campaign could be won (thesis §9.6). */
  readonly preVote?: boolean;
  readonly readMode?: ReadMode;
  /** Followers pass proposals on to the leader. True by default. */
  readonly forwardProposals?: boolean;
  /** Refuse changes of the configuration that cannot be applied. True by default. */
  readonly validateConfChanges?: boolean;
  /** A leader that is removed or becomes a learner steps down when it applies that. */
  readonly stepDownOnRemoval?: boolean;
}

export type NormalizedConfig = Required<RaftConfig>;

export class RaftConfigError extends Error {
  override readonly name = "RaftConfigError";
}

/** Throws `RaftConfigError`. */
export function normalizeConfig(config: RaftConfig): NormalizedConfig {
  const unlimited = Number.POSITIVE_INFINITY;
  const messageBytesMax = config.messageBytesMax ?? unlimited;
  const normalized: NormalizedConfig = {
    id: config.id,
    log: config.log,
    random: config.random,
    logger: config.logger ?? silentLogger,
    electionTicks: config.electionTicks,
    heartbeatTicks: config.heartbeatTicks,
    applied: config.applied ?? 0,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    earlyVoteRequests: config.earlyVoteRequests ?? false,
    messageBytesMax,
    // At least one byte, so that there is always room for a first entry.
    applyBytesMax: Math.max(1, config.applyBytesMax || messageBytesMax),
    uncommittedBytesMax: config.uncommittedBytesMax || unlimited,
    inflightMessagesMax: config.inflightMessagesMax,
    inflightBytesMax: config.inflightBytesMax || unlimited,
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readMode: config.readMode ?? "safe",
    forwardProposals: config.forwardProposals ?? true,
    validateConfChanges: config.validateConfChanges ?? true,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
  };
  const problem = findProblem(normalized);
  if (problem !== undefined) throw new RaftConfigError(problem);
  return normalized;
}

function findProblem(config: NormalizedConfig): string | undefined {
  if (config.id === noNode) return "cannot use none as id";
  if (isStorageThread(config.id)) return "cannot use local target as id";
  if (config.heartbeatTicks <= 0) return "heartbeat tick must be greater than 0";
  if (config.electionTicks <= config.heartbeatTicks) {
    return "election tick must be greater than heartbeat tick";
  }
  // Callers without types can leave it out.
  if ((config.log as LogReader | undefined) === undefined) return "storage cannot be nil";
  if (config.inflightMessagesMax <= 0) return "max inflight messages must be greater than 0";
  if (config.inflightBytesMax < config.messageBytesMax) {
    return "max inflight bytes must be >= max message size";
  }
  if (config.readMode === "lease" && !config.checkQuorum) {
    return "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased";
  }
  return undefined;
}
