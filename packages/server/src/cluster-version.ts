// What a member tells the cluster about itself, and what the leader tells the cluster about its version.
//
// After every start a member publishes its name and client URLs, again and again until the entry is applied;
// then it is ready. One that joins does so when it has seen itself become a member: attributes of a stranger
// would end a stock member. The leader proposes the cluster version: when its first entry is applied and
// every four seconds, the lowest version of all members, only ever raised, except towards the target of a
// downgrade. Where a member does not answer, nothing changes, but that a cluster that has no version yet
// gets the lowest of all.
//
// A version that is agreed on is raised only where a stock member is there whose release asks for it: ours
// needs no version, and a member of an older release can join again only while it has not been raised. So a
// cluster of stock members can be replaced by one of ours, and back. The operator says when that is over.
//
// Members before 3.5 know neither of the two requests and end when they meet one; while there is one of
// them, the same is said as a write to the old store, which all releases but 3.7 understand.

import {
  ClusterMemberAttrSetRequest,
  ClusterVersionSetRequest,
  encodeClusterMemberAttrSetRequest,
  encodeClusterVersionSetRequest,
  encodeV2Request,
  MemberAttributes,
  V2Request,
} from "@etcd-ts/api";
import { type Bytes, background, type Timer } from "@etcd-ts/base";
import type { ApplyOutcome, Member } from "@etcd-ts/machine";
import { minClusterVersion, ownClusterVersion } from "./config.ts";
import { Operation } from "./envelope.ts";
import { hexId } from "./ids.ts";
import { versionsOf } from "./member-versions.ts";
import type { PeerRequests } from "./peers/index.ts";
import { Proposal } from "./proposals.ts";
import type { Refusal } from "./refusals.ts";
import type { MemberContext } from "./seams.ts";

const monitorMs = 4000;
const askAgainMs = 100;
/** So long a member that founds a cluster waits for the others to say of which release they are. */
const patienceMs = 5000;
/** The first that knows requests for attributes, for the version, and for downgrades. */
export const firstWithRequests = "3.5.0";
/** The first stock release that does not know the old store any more. */
const firstWithoutV2 = "3.7.0";

export class ClusterVersionKeeper {
  readonly #context: MemberContext;
  #timer: Timer | undefined;
  readonly #requests: PeerRequests | undefined;
  #publishTimer: Timer | undefined;
  #askTimer: Timer | undefined;
  /** Until then a member that does not answer is waited for. */
  #patientUntilMs: number | undefined;
  #settledIndex = Number.POSITIVE_INFINITY;
  /** An attempt is under way, or was successful. */
  #publishing = false;
  #deciding = false;
  #proposed = false;
  /** A downgrade was enabled since this member leads. */
  #sawDowngrade = false;
  #stopped = false;
  readonly #published: () => void;

  /** `published` is called once, inside a turn. */
  constructor(context: MemberContext, requests: PeerRequests | undefined, published: () => void) {
    this.#context = context;
    this.#requests = requests;
    this.#published = published;
  }

  /**
   * `settledIndex`: up to here the log counts as committed already. Before that is applied the membership is not what it
   * was; a founder may have applied its own membership only, and would take itself for the only one.
   */
  start(settledIndex: number): void {
    this.#settledIndex = settledIndex;
    this.#timer = this.#context.host.timers.after(monitorMs, this.#monitor);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#publishTimer?.cancel();
    this.#publishTimer = undefined;
    this.#askTimer?.cancel();
    this.#askTimer = undefined;
  }

  /** Publishes as soon as this member knows the membership, and that it belongs to it. */
  turnEnded(): void {
    if (this.#publishing || this.#stopped) return;
    const { machine, memberId } = this.#context;
    if (machine.appliedIndex < this.#settledIndex) return;
    if (machine.members.get(memberId) === undefined) return;
    this.#publishing = true;
    this.#publish();
  }

  /** The leader's first entry is applied: decide now. */
  leadershipEstablished(): void {
    this.#sawDowngrade = false;
    this.#decide();
  }

  #publish(): void {
    if (this.#stopped) return;
    if (this.#others().length === 0) {
      this.#proposeAttributes(this.#form(alone) === "v2");
      return;
    }
    background(
      this.#ask().then((asked) => {
        const form = this.#form(asked);
        if (form !== "unknown") this.#proposeAttributes(form === "v2");
        else if (!this.#stopped) this.#publishLater();
      }),
      this.#context.fatal,
    );
  }

  #publishLater(): void {
    this.#publishTimer = this.#context.host.timers.after(askAgainMs, () => this.#publish());
  }

  #proposeAttributes(asV2: boolean): void {
    const { config, memberId } = this.#context;
    if (this.#stopped) return;
    const told = new Told(
      () => this.#didPublish(),
      (refusal) => this.#didNotPublish(refusal),
    );
    const { name } = config;
    const clientUrls = [...config.advertiseClientUrls];
    if (asV2) {
      const path = `/0/members/${hexId(memberId)}/attributes`;
      const json = JSON.stringify({ name, clientURLs: clientUrls });
      this.#context.propose(Operation.v2, v2Put(path, json), told);
      return;
    }
    const attributes = new MemberAttributes();
    attributes.name = name;
    attributes.clientUrls = clientUrls;
    const request = new ClusterMemberAttrSetRequest();
    request.memberId = memberId;
    request.memberAttributes = attributes;
    const body = encodeClusterMemberAttrSetRequest(request);
    this.#context.propose(Operation.clusterMemberAttrSet, body, told);
  }

  #didPublish(): void {
    const { config, memberId, clusterId, host } = this.#context;
    host.log.info("published local member to cluster through raft", {
      "local-member-id": hexId(memberId),
      "local-member-attributes": `{Name:${config.name} ClientURLs:[${config.advertiseClientUrls.join(" ")}]}`,
      "cluster-id": hexId(clusterId),
      "publish-timeout": `${config.requestTimeoutMs / 1000}s`,
    });
    this.#published();
  }

  #didNotPublish(refusal: Refusal): void {
    if (this.#stopped) return;
    const { memberId, host } = this.#context;
    host.log.warn("failed to publish local member to cluster through raft", {
      "local-member-id": hexId(memberId),
      error: refusal.message,
    });
    // From a later turn, so that a refusal that comes at once does not become a loop.
    this.#publishLater();
  }

  readonly #monitor = (): void => {
    if (this.#stopped) return;
    this.#timer = this.#context.host.timers.after(monitorMs, this.#monitor);
    this.#decide();
  };

  /** Proposes a version where the one that is agreed on should be another. */
  #decide(): void {
    if (this.#stopped || this.#deciding || this.#proposed || !this.#context.isLeader) return;
    const { machine } = this.#context;
    const { clusterVersion, downgrade } = machine.members;
    if (downgrade.enabled) {
      this.#sawDowngrade = true;
      const target = downgrade.targetVersion;
      if (isLower(target, clusterVersion)) this.#proposeVersion(target, false);
      return;
    }
    if (this.#others().length === 0) {
      this.#decided(alone);
      return;
    }
    this.#deciding = true;
    background(
      this.#ask().then((asked) => {
        this.#deciding = false;
        this.#decided(asked);
      }),
      this.#context.fatal,
    );
  }

  #decided(asked: Asked): void {
    const { isLeader, machine, host, config } = this.#context;
    const { clusterVersion, downgrade } = machine.members;
    if (this.#stopped || this.#proposed || !isLeader || downgrade.enabled) return;
    const form = this.#form(asked);
    if (form === "unknown") {
      this.#askTimer?.cancel();
      this.#askTimer = host.timers.after(askAgainMs, () => this.#decide());
      return;
    }
    const { lowest } = asked;
    const wanted = asked.allAnswered ? lowest : minClusterVersion;
    if (clusterVersion === "") this.#proposeVersion(wanted, form === "v2");
    else if (!asked.allAnswered || !isLower(clusterVersion, lowest)) return;
    // The lowest of all was the choice of a leader that could not ask everybody, and who takes a downgrade
    // back wants the higher version again.
    else if (
      asked.hasStock ||
      config.raiseClusterVersion ||
      clusterVersion === minClusterVersion ||
      this.#sawDowngrade
    ) {
      this.#proposeVersion(lowest, form === "v2");
    }
  }

  /**
   * How attributes and version are to be written so that every member understands them, those included that may
   * yet join: that is up to the version of the cluster, once there is one. Without it, that is at the founding,
   * it is up to the members; whoever does not answer may be of any release, and is worth waiting for: the wrong
   * form ends the member that reads it, for ever. The old one is the better guess then, as only stock 3.7 does
   * not know it, and ours do not send it to those.
   */
  #form(asked: Asked): "v2" | "request" | "unknown" {
    const { clusterVersion } = this.#context.machine.members;
    if (asked.hasOld) return "v2";
    if (asked.hasNewStock) return "request";
    if (clusterVersion !== "" && clusterVersion !== minClusterVersion) {
      return isLower(clusterVersion, firstWithRequests) ? "v2" : "request";
    }
    if (asked.allAnswered) return "request";
    const nowMs = this.#context.host.clock.monotonicMs();
    this.#patientUntilMs ??= nowMs + patienceMs;
    return nowMs < this.#patientUntilMs ? "unknown" : "v2";
  }

  #proposeVersion(wanted: string, asV2: boolean): void {
    const { host, machine } = this.#context;
    const former = machine.members.clusterVersion;
    if (former === "") {
      host.log.info("setting up initial cluster version using v3 API", {
        "cluster-version": shortVersion(wanted),
      });
    } else {
      host.log.info("updating cluster version using v3 API", {
        from: shortVersion(former),
        to: shortVersion(wanted),
      });
    }
    this.#proposed = true;
    const ended = () => {
      this.#proposed = false;
    };
    const told = new Told(ended, ended);
    if (asV2) {
      this.#context.propose(Operation.v2, v2Put("/0/version", wanted), told);
      return;
    }
    const request = new ClusterVersionSetRequest();
    request.ver = wanted;
    const body = encodeClusterVersionSetRequest(request);
    this.#context.propose(Operation.clusterVersionSet, body, told);
  }

  #others(): readonly Member[] {
    const { machine, memberId } = this.#context;
    return machine.members.list().filter((member) => member.id !== memberId);
  }

  /** Of which releases the members are, as far as they say. */
  async #ask(): Promise<Asked> {
    const asked = { ...alone };
    for (const versions of (await versionsOf(this.#requests, this.#others())).values()) {
      const parsed = /^([0-9]+)\.([0-9]+)\./.exec(versions?.server ?? "");
      if (parsed === null) {
        asked.allAnswered = false;
        continue;
      }
      const version = `${Number(parsed[1])}.${Number(parsed[2])}.0`;
      if (isLower(version, asked.lowest)) asked.lowest = version;
      if (isLower(version, firstWithRequests)) asked.hasOld = true;
      if (versions?.isOurs === true) continue;
      asked.hasStock = true;
      if (!isLower(version, firstWithoutV2)) asked.hasNewStock = true;
    }
    return asked;
  }
}

interface Asked {
  /** `X.Y.0` of the oldest member that answered. */
  readonly lowest: string;
  readonly allAnswered: boolean;
  /** Not all members are ours. */
  readonly hasStock: boolean;
  /** There is a member that ends when it meets the requests. */
  readonly hasOld: boolean;
  /** There is a member that ends when it meets a write to the old store. */
  readonly hasNewStock: boolean;
}

/** What a member without others finds out. */
const alone: Asked = {
  ...{ lowest: ownClusterVersion, allAnswered: true },
  ...{ hasStock: false, hasOld: false, hasNewStock: false },
};

/** A write to the old store. */
function v2Put(path: string, val: string): Bytes {
  const request = new V2Request();
  request.method = "PUT";
  request.path = path;
  request.val = val;
  return encodeV2Request(request);
}

class Told extends Proposal {
  readonly #done: () => void;
  readonly #failed: (refusal: Refusal) => void;

  constructor(done: () => void, failed: (refusal: Refusal) => void) {
    super();
    this.#done = done;
    this.#failed = failed;
  }

  override applied(_outcome: ApplyOutcome): void {
    this.#done();
  }

  override refused(refusal: Refusal): void {
    this.#failed(refusal);
  }
}

/** Why this release cannot be a member of a cluster of this version; undefined when it can. */
export function invalidDowngrade(clusterVersion: string): string | undefined {
  if (clusterVersion === "" || !isLower(ownClusterVersion, clusterVersion)) return undefined;
  return (
    "invalid downgrade; server version is lower than determined cluster version: this is " +
    `${shortVersion(ownClusterVersion)}, the cluster is at ${shortVersion(clusterVersion)}; start a ` +
    "release that is at least as new"
  );
}

/** Compares `X.Y…`. */
export function isLower(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA < majorB || (majorA === majorB && minorA < minorB);
}

export function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
