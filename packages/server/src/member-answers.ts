// What this member answers to the others beside raft (`peers/side-endpoints.ts` has the forms).

import type { LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } from "@etcd-ts/api";
import type { Member } from "@etcd-ts/machine";
import { hashJobOf } from "./corruption/hashes.ts";
import { catalogue } from "./errors.ts";
import type { MembershipChanges } from "./membership-changes.ts";
import type { HashFailure, LeaseFailure, PeerAnswers, PeerHash } from "./peers/index.ts";
import { Reader } from "./reads.ts";
import type { Refusal } from "./refusals.ts";
import type { MemberContext, MemberPart } from "./seams.ts";

export class MemberAnswers implements PeerAnswers {
  readonly #context: MemberContext;
  readonly #changes: MembershipChanges;
  /** The part that counts leases. */
  readonly #leases: MemberPart | undefined;

  constructor(context: MemberContext, changes: MembershipChanges, parts: readonly MemberPart[]) {
    this.#context = context;
    this.#changes = changes;
    this.#leases = parts.find((part) => part.renewLease !== undefined);
  }

  get clusterVersion(): string {
    return this.#context.machine.members.clusterVersion;
  }

  get storageVersion(): string {
    return this.#context.machine.storageVersion;
  }

  members(): readonly Member[] | undefined {
    const { machine, memberId } = this.#context;
    const { members } = machine;
    return members.get(memberId) === undefined ? undefined : members.list();
  }

  promote(id: bigint): Promise<readonly Member[] | Refusal> {
    return this.#changes.promoteHere(id);
  }

  async renewLease(id: bigint): Promise<bigint | LeaseFailure> {
    const renew = this.#leases?.renewLease;
    return renew === undefined ? notCounted : renew(id);
  }

  async leaseTimeToLive(
    request: LeaseTimeToLiveRequest,
  ): Promise<LeaseTimeToLiveResponse | LeaseFailure> {
    const ask = this.#leases?.leaseTimeToLive;
    return ask === undefined ? notCounted : ask(request);
  }

  hashKv(revision: bigint): Promise<PeerHash | HashFailure> {
    return hashJobOf(this.#context, revision);
  }

  downgradeEnabled(): Promise<boolean | Refusal> {
    return new Promise((resolve) => {
      this.#context.linearize(new DowngradeReader(this.#context, resolve));
    });
  }
}

const notCounted: LeaseFailure = { failure: "other", message: catalogue.notPrimaryLessor.message };

class DowngradeReader extends Reader {
  readonly #context: MemberContext;
  readonly #resolve: (answer: boolean | Refusal) => void;

  constructor(context: MemberContext, resolve: (answer: boolean | Refusal) => void) {
    super();
    this.#context = context;
    this.#resolve = resolve;
  }

  override ready(): void {
    this.#resolve(this.#context.machine.members.downgrade.enabled);
  }

  override refused(refusal: Refusal): void {
    this.#resolve(refusal);
  }
}
