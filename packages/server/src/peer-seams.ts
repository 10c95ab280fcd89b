// What the links between members ask of this member, hand over to it and report (`peers/seams.ts`).

import type { Host } from "@etcd-ts/base";
import type { BackendView, Machine } from "@etcd-ts/machine";
import { type Message, MessageType } from "@etcd-ts/raft";
import { hexId } from "./ids.ts";
import { outgoingSnapshot } from "./outgoing-snapshot.ts";
import type { OutgoingSnapshot, PeerAnswers, PeerSeams } from "./peers/index.ts";
import type { Replica } from "./replica.ts";
import { inspectDatabase } from "./restore/import-database.ts";

export interface SeamParts {
  readonly host: Host;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly machine: Machine;
  readonly replica: Replica;
  readonly dataDir: string;
  readonly answers: PeerAnswers;
  view(): Promise<BackendView>;
  forgetOldStore(): void;
  onRemoved(): void;
}

export class MemberSeams implements PeerSeams {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly snapshotFolder: string;
  readonly answers: PeerAnswers;
  readonly #parts: SeamParts;

  constructor(parts: SeamParts) {
    this.#parts = parts;
    this.memberId = parts.memberId;
    this.clusterId = parts.clusterId;
    this.answers = parts.answers;
    this.snapshotFolder = `${parts.dataDir}/member/snap`;
  }

  receive(message: Message): boolean {
    const { type, from } = message;
    // Nobody waits for it any more; passed on, it would make a stock leader say that we were removed.
    const isRequest = type === MessageType.MsgProp || type === MessageType.MsgReadIndex;
    if (isRequest && this.isRemoved(from)) return true;
    return this.#parts.replica.receive(message);
  }

  reportUnreachable(id: bigint): void {
    this.#parts.replica.reportUnreachable(id);
  }

  reportSnapshot(id: bigint, succeeded: boolean): void {
    this.#parts.replica.reportSnapshot(id, succeeded);
  }

  isRemoved(id: bigint): boolean {
    return this.#parts.machine.members.isRemoved(id);
  }

  strictMemberMet(): void {
    this.#parts.forgetOldStore();
  }

  removedFromCluster(): void {
    const { host, dataDir } = this.#parts;
    host.log.warn("server error", {
      "local-member-id": hexId(this.memberId),
      error: "the member has been permanently removed from the cluster",
    });
    host.log.warn("data-dir used by this member must be removed", { "data-dir": dataDir });
    this.#parts.onRemoved();
  }

  async openSnapshot(): Promise<OutgoingSnapshot> {
    const view = await this.#parts.view();
    try {
      return outgoingSnapshot(view);
    } catch (error) {
      view.close();
      throw error;
    }
  }

  inspectDatabase(path: string, index: number): Promise<void> {
    return inspectDatabase(this.#parts.host.disk, path, index);
  }
}
