// What a member tells the cluster about itself, and what the leader tells the cluster about its version.
//
// After every start a member publishes its name and client URLs, again and again until the entry is applied;
// then it is ready. The leader proposes the cluster version: when its first entry is applied and every four
// seconds, the lowest version of all members, only ever raised, except towards the target of a downgrade.

import {
  ClusterMemberAttrSetRequest,
  ClusterVersionSetRequest,
  encodeClusterMemberAttrSetRequest,
  encodeClusterVersionSetRequest,
  MemberAttributes,
} from "@etcd-ts/api";
import type { Timer } from "@etcd-ts/base";
import type { ApplyOutcome } from "@etcd-ts/machine";
import { minClusterVersion, ownClusterVersion } from "./config.ts";
import { Operation } from "./envelope.ts";
import { hexId } from "./ids.ts";
import { Proposal } from "./proposals.ts";
import type { Refusal } from "./refusals.ts";
import type { MemberContext } from "./seams.ts";

const monitorMs = 4000;

export class ClusterVersionKeeper {
  readonly #context: MemberContext;
  #timer: Timer | undefined;
  #proposed = false;
  #stopped = false;
  readonly #published: () => void;

  /** `published` is called once, inside a turn. */
  constructor(context: MemberContext, published: () => void) {
    this.#context = context;
    this.#published = published;
  }

  start(): void {
    this.#publish();
    this.#timer = this.#context.host.timers.after(monitorMs, this.#monitor);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The leader's first entry is applied: decide now. */
  leadershipEstablished(): void {
    this.#decide();
  }

  #publish(): void {
    if (this.#stopped) return;
    const { config, memberId } = this.#context;
    const attributes = new MemberAttributes();
    attributes.name = config.name;
    attributes.clientUrls = [...config.advertiseClientUrls];
    const request = new ClusterMemberAttrSetRequest();
    request.memberId = memberId;
    request.memberAttributes = attributes;
    const body = encodeClusterMemberAttrSetRequest(request);
    this.#context.propose(
      Operation.clusterMemberAttrSet,
      body,
      new Told(
        () => this.#didPublish(),
        (refusal) => this.#didNotPublish(refusal),
      ),
    );
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
    host.timers.after(100, () => this.#publish());
  }

  readonly #monitor = (): void => {
    if (this.#stopped) return;
    this.#timer = this.#context.host.timers.after(monitorMs, this.#monitor);
    this.#decide();
  };

  /** Proposes a version where the one that is agreed on should be another. */
  #decide(): void {
    const wanted = this.#wantedVersion();
    if (wanted === undefined || this.#proposed || !this.#context.isLeader) return;
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
    const request = new ClusterVersionSetRequest();
    request.ver = wanted;
    const ended = () => {
      this.#proposed = false;
    };
    const body = encodeClusterVersionSetRequest(request);
    this.#context.propose(Operation.clusterVersionSet, body, new Told(ended, ended));
  }

  #wantedVersion(): string | undefined {
    const { machine, memberId } = this.#context;
    const { clusterVersion, downgrade } = machine.members;
    if (downgrade.enabled) {
      const target = downgrade.targetVersion;
      return isLower(target, clusterVersion) ? target : undefined;
    }
    // The versions of other members are known from their peer endpoints only; without them nothing changes.
    const isAlone = machine.members.list().every((member) => member.id === memberId);
    if (!isAlone) return clusterVersion === "" ? minClusterVersion : undefined;
    return clusterVersion === "" || isLower(clusterVersion, ownClusterVersion)
      ? ownClusterVersion
      : undefined;
  }
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

/** Compares `X.Y…`. */
export function isLower(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA < majorB || (majorA === majorB && minorA < minorB);
}

export function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
