// One member: a data directory, a log, a machine, a raft node, and the loop that drives them; with the
// services on top. `Member.open` brings it up to the point where it takes part in raft; it is ready to serve
// clients when it has published itself and the cluster's version is known.
//
//     open ──► starting ──► ready ──► stopping ──► stopped
//                  └──────────┴──► failed     (the log, the backend or an invariant broke)
//
// A failed member acknowledges nothing any more: what it holds in memory may be ahead of its disk. It closes
// nothing in good order either; its process ends, and the next start finds what is durable.

import type { Host } from "@etcd-ts/base";
import {
  type Backend,
  type BackendView,
  HeaderEncoder,
  type Machine,
  type ReadJob,
} from "@etcd-ts/machine";
import type { RawNode, Status } from "@etcd-ts/raft";
import type { MethodTable, ServerCall } from "@etcd-ts/rpc";
import { AppliedWaiters } from "./applied-waiters.ts";
import { BackendCommits } from "./backend-commits.ts";
import {
  ClusterVersionKeeper,
  invalidDowngrade,
  isLower,
  shortVersion,
} from "./cluster-version.ts";
import { CompactionRunner } from "./compaction-runner.ts";
import { type MemberConfig, type MemberOptions, serverVersion } from "./config.ts";
import { CorruptionCheck } from "./corruption/check.ts";
import { ElectionHaste } from "./election-haste.ts";
import type { Operation } from "./envelope.ts";
import { catalogue, refusalOf } from "./errors.ts";
import { CallGate, type GateState } from "./gate.ts";
import type { HeaderSource } from "./header.ts";
import { HttpEndpoints } from "./http-endpoints.ts";
import { hexId, RequestIds } from "./ids.ts";
import { LeaderCalls } from "./leader-calls.ts";
import { LeaderTransfers } from "./leader-transfers.ts";
import { createLeasePart } from "./lease/part.ts";
import { LogKeeper } from "./log-keeper.ts";
import { LogKeeping } from "./log-keeping.ts";
import { LoopMonitor } from "./loop-monitor.ts";
import { MemberAnswers } from "./member-answers.ts";
import { MemberHealth } from "./member-health.ts";
import { MembershipChanges } from "./membership-changes.ts";
import { MembershipEffects } from "./membership-effects.ts";
import { NoSpaceAlarm } from "./no-space-alarm.ts";
import { closeMember, type OpenedMember, openMember } from "./open-member.ts";
import { OwnedView } from "./owned-view.ts";
import { MemberSeams } from "./peer-seams.ts";
import { NoPeers, type PeerTransport } from "./peer-transport.ts";
import type { PeerRequests } from "./peers/index.ts";
import { type Proposal, Proposals } from "./proposals.ts";
import type { Quota } from "./quota.ts";
import { newRaft } from "./raft-node.ts";
import { type Reader, Reads } from "./reads.ts";
import type { Refusal } from "./refusals.ts";
import { Replica, type ReplicaObserver } from "./replica.ts";
import { RequestTimes } from "./request-times.ts";
import type { MemberContext, MemberPart } from "./seams.ts";
import { AuthService } from "./services/auth.ts";
import { ClusterService } from "./services/cluster.ts";
import { HealthService } from "./services/health.ts";
import { KvService } from "./services/kv.ts";
import { MaintenanceService } from "./services/maintenance.ts";
import { refuse } from "./services/unary.ts";
import { Slicer } from "./slicer.ts";
import { SnapshotInstaller } from "./snapshot-install.ts";
import { StoreCounts } from "./store-counts.ts";
import { createWatchPart } from "./watch/part.ts";

export interface MemberSetup {
  readonly host: Host;
  readonly options: MemberOptions;
  /** Opens the backend in a folder, which it makes when there is none. */
  openBackend(folder: string): Promise<Backend>;
  /** What is served beside the member's own services; by default the watch hub and the lease keeper. */
  createParts?(context: MemberContext): readonly MemberPart[];
  /**
   * Links to the other members; a member without them can only be alone. Made before the member is, with
   * the peer listener open already: the member starts and stops them.
   */
  readonly transport?: PeerTransport;
  /**
   * What is asked of other members beside raft: the cluster when joining it, versions, leases, hashes. The
   * member stops them.
   */
  readonly requests?: PeerRequests;
  /**
   * The member failed, and nothing is acknowledged any more: say so and end the process. Nothing is logged
   * here, so that there is one message.
   */
  onFailed(error: Error): void;
  /** This member was removed from the cluster and should stop. */
  onRemoved?(): void;
}

type Phase = "starting" | "ready" | "stopping" | "stopped" | "failed";

/** How long parts may take to put their last words into the log. */
const prepareStopMs = 2000;

export class Member implements MemberContext, GateState, HeaderSource {
  readonly host: Host;
  readonly config: MemberConfig;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly machine: Machine;
  readonly requestIds: RequestIds;
  readonly slicer: Slicer;
  readonly quota: Quota;
  readonly gate: CallGate;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly replica: Replica;
  readonly commits: BackendCommits;
  readonly changes: MembershipChanges;
  readonly monitor: LoopMonitor;
  readonly times: RequestTimes;
  readonly counts: StoreCounts = new StoreCounts();
  readonly compactions: CompactionRunner;
  readonly keeping: LogKeeping;
  readonly maintenance: MaintenanceService;
  readonly encoder: HeaderEncoder;
  readonly http: HttpEndpoints;
  /** Everything that the rpc server serves. */
  readonly methods: MethodTable;
  readonly parts: readonly MemberPart[];
  readonly opened: OpenedMember;
  readonly leaderCalls: LeaderCalls;
  readonly #setup: MemberSetup;
  readonly #raft: RawNode;
  readonly #transport: PeerTransport;
  readonly #logKeeper: LogKeeper;
  readonly #versions: ClusterVersionKeeper;
  readonly #transfers: LeaderTransfers;
  readonly #health: HealthService;
  readonly #effects: MembershipEffects;
  readonly #applied: AppliedWaiters;
  readonly #installer: SnapshotInstaller;
  readonly #haste: ElectionHaste;
  readonly #corruption: CorruptionCheck;
  readonly #noSpace: NoSpaceAlarm = new NoSpaceAlarm(this);
  #phase: Phase = "starting";
  #published = false;
  #readyWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #failure: Error | undefined;
  #stopping: Promise<void> | undefined;
  readonly #views: Set<BackendView> = new Set();

  /** Opens or founds the member and starts its loop. Throws `StartError`, `DiskError`, `CorruptionError`. */
  static async open(setup: MemberSetup): Promise<Member> {
    const abandon = () => {
      setup.transport?.stop();
      setup.requests?.stop();
    };
    const opened = await openMember(setup).catch((error: unknown) => {
      abandon();
      throw error;
    });
    try {
      const member = new Member(setup, opened);
      member.#start();
      return member;
    } catch (error) {
      abandon();
      await closeMember(opened);
      throw error;
    }
  }

  private constructor(setup: MemberSetup, opened: OpenedMember) {
    const { host } = setup;
    const { config, machine, backend } = opened;
    this.#setup = setup;
    this.opened = opened;
    this.host = host;
    this.config = config;
    this.memberId = opened.memberId;
    this.clusterId = opened.clusterId;
    this.machine = machine;
    this.requestIds = new RequestIds(this.memberId, host.clock.wallMs());
    this.slicer = new Slicer(host);
    this.quota = opened.quota;
    this.encoder = new HeaderEncoder(this.clusterId, this.memberId);
    this.gate = new CallGate(host, this, config.electionMs);
    this.times = new RequestTimes(host, config);
    this.monitor = new LoopMonitor(host);
    this.#transport = setup.transport ?? new NoPeers();
    this.leaderCalls = new LeaderCalls({
      host,
      requests: setup.requests,
      timeoutMs: config.requestTimeoutMs,
      isLeader: () => this.isLeader,
      leaderUrls: () => this.machine.members.get(this.leaderId)?.peerUrls,
    });
    this.#applied = new AppliedWaiters(host);
    this.commits = new BackendCommits(
      host,
      backend,
      machine,
      { intervalMs: config.backendBatchIntervalMs, batchLimit: config.backendBatchLimit },
      this.fatal,
    );
    this.commits.onCommitted = () => {
      this.quota.refresh();
      this.replica.wake();
    };
    this.compactions = new CompactionRunner(
      host,
      this.slicer,
      machine,
      this.commits,
      config,
      this.fatal,
    );
    this.proposals = new Proposals(this.requestIds, {
      requestBytesMax: config.maxRequestBytes,
      requestTimeoutMs: config.requestTimeoutMs,
    });
    this.#effects = new MembershipEffects({
      leaveLeadership: () => this.#leaveLeadership(),
      host,
      memberId: this.memberId,
      clusterId: this.clusterId,
      transport: this.#transport,
      onRemoved: () => setup.onRemoved?.(),
    });
    this.#raft = newRaft(host, opened);
    this.reads = new Reads(this.requestIds, config.requestTimeoutMs, (context) =>
      this.#raft.readIndex(context),
    );
    this.replica = new Replica({
      host,
      id: this.memberId,
      high16: this.requestIds.high16,
      raft: this.#raft,
      log: opened.log,
      wal: opened.wal,
      machine,
      proposals: this.proposals,
      reads: this.reads,
      transport: this.#transport,
      commits: this.commits,
      observer: this.#observer(),
      times: this.times,
      options: {
        tickMs: config.heartbeatMs,
        electionMs: config.electionMs,
        requestTimeoutMs: config.requestTimeoutMs,
        syncsLog: !config.unsafeNoFsync,
      },
    });
    this.replica.logBytes = opened.logBytes;
    this.changes = new MembershipChanges({
      config,
      memberId: this.memberId,
      machine,
      replica: this.replica,
      transport: this.#transport,
      requestIds: this.requestIds,
      leaderCalls: this.leaderCalls,
      nowMs: () => host.clock.monotonicMs(),
      whenApplied: (done) => this.#applied.wait(this.commitIndex, this.appliedIndex, done),
      fatal: this.fatal,
    });
    this.keeping = new LogKeeping(host, opened, this.replica, this.#transport);
    this.#logKeeper = new LogKeeper(
      this.keeping,
      this.commits,
      config,
      opened.snapshotIndex,
      this.fatal,
    );
    this.#installer = new SnapshotInstaller({
      host,
      opened,
      logKeeper: this.#logKeeper,
      commits: this.commits,
      transport: this.#transport,
      stateReplaced: () => this.#stateReplaced(),
      fatal: this.fatal,
    });
    this.#versions = new ClusterVersionKeeper(this, setup.requests, () => {
      this.#published = true;
      this.#maybeReady();
    });
    this.#transfers = new LeaderTransfers(host, this.replica, config.heartbeatMs);
    this.#haste = this.#createHaste();
    this.#corruption = new CorruptionCheck(this, setup.requests);
    this.#health = new HealthService(this);
    this.maintenance = new MaintenanceService(this, this.#transfers);
    this.http = new HttpEndpoints(new MemberHealth(this), host.log);
    this.parts = setup.createParts?.(this) ?? [createWatchPart(this), createLeasePart(this)];
    for (const part of this.parts) opened.observers.push(part);
    opened.observers.push(this.counts);
    opened.observers.push({
      clusterVersionChanged: (version) => this.#versionChanged(version),
    });
    const tables = [
      new KvService(this).methods,
      new ClusterService(this, this.changes).methods,
      new AuthService(this).methods,
      this.maintenance.methods,
      this.#health.methods,
      ...this.parts.map((part) => part.methods),
    ];
    this.methods = Object.assign({}, ...tables) as MethodTable;
  }

  // --- what services and parts see --------------------------------------------------------------------

  get header(): HeaderSource {
    return this;
  }

  get raftTerm(): number {
    return this.machine.appliedTerm;
  }

  get isLeader(): boolean {
    return this.replica.isLeader;
  }

  get leaderId(): bigint {
    return this.replica.leader;
  }

  get term(): number {
    return this.replica.term;
  }

  get commitIndex(): number {
    return this.replica.commitIndex;
  }

  get appliedIndex(): number {
    return this.machine.appliedIndex;
  }

  /** As raft shows itself, for operators. */
  raftStatus(): Status {
    return this.#raft.status();
  }

  get isStopping(): boolean {
    return this.#phase !== "starting" && this.#phase !== "ready";
  }

  get clusterVersion(): string {
    return this.machine.members.clusterVersion;
  }

  get isLearner(): boolean {
    return this.machine.members.get(this.memberId)?.isLearner ?? false;
  }

  propose(operation: Operation, request: Uint8Array, proposal: Proposal): void {
    const now = this.host.clock.monotonicMs();
    if (this.proposals.submit(operation, request, proposal, now)) this.replica.wake();
  }

  withdraw(proposal: Proposal, refusal: Refusal): void {
    this.proposals.withdraw(proposal, refusal);
  }

  linearize(reader: Reader): void {
    this.reads.add(reader);
    this.replica.wake();
  }

  wake(): void {
    this.replica.wake();
  }

  admits(costBytes: number): boolean {
    if (this.quota.admits(costBytes)) return true;
    this.#noSpace.raise();
    return false;
  }

  runForCall(call: ServerCall, job: ReadJob, done: () => void): void {
    if (call.ended) {
      job.cancel();
      return;
    }
    const running = this.slicer.run(job, {
      done: () => {
        // A received snapshot took the place of what was being read.
        if (job.error === undefined) done();
        else refuse(call, refusalOf(job.error));
      },
      failed: this.fatal,
    });
    call.onCancel = () => {
      running.cancel();
      job.cancel();
    };
  }

  afterCompactions(done: (durable: boolean) => void): void {
    this.compactions.afterAll(done);
  }

  async defragment(): Promise<void> {
    const startMs = this.host.clock.monotonicMs();
    this.counts.isDefragmenting = true;
    try {
      await this.opened.backend.defragment();
    } finally {
      this.counts.isDefragmenting = false;
    }
    this.counts.defragSeconds.observe((this.host.clock.monotonicMs() - startMs) / 1000);
    this.quota.refresh();
  }

  async view(): Promise<BackendView> {
    // A view is of what was put so far, and what is put must say how far it was applied.
    this.machine.sealBatch();
    const view = new OwnedView(await this.opened.backend.view(), this.#views);
    if (this.isStopping) view.close();
    return view;
  }

  get openViewCount(): number {
    return this.#views.size;
  }

  /** A property, so that it can be handed on as it is. */
  readonly fatal = (error: Error): void => {
    if (this.#phase === "failed" || this.#phase === "stopped") return;
    this.#phase = "failed";
    this.#failure = error;
    this.#silence();
    void this.#logKeeper.stop();
    void this.#installer.stop();
    this.commits.stop();
    for (const waiter of this.#readyWaiters.splice(0)) waiter.reject(error);
    this.#setup.onFailed(error);
  };

  // --- life -------------------------------------------------------------------------------------------

  /** Resolves when clients can be served; rejects when the member fails or stops before. */
  ready(): Promise<void> {
    if (this.#phase === "ready") return Promise.resolve();
    if (this.#phase !== "starting") {
      return Promise.reject(this.#failure ?? new Error("the member is stopped"));
    }
    return new Promise((resolve, reject) => this.#readyWaiters.push({ resolve, reject }));
  }

  /**
   * Ends everything in good order: whoever waits gets "server stopped", the backend is made durable, the
   * files are closed. Idempotent. After a failure it does nothing.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#phase === "failed" ? Promise.resolve() : this.#stop();
    return this.#stopping;
  }

  #start(): void {
    const { host, opened } = this;
    host.log.info("starting etcd server", {
      "local-member-id": hexId(this.memberId),
      "local-server-version": serverVersion,
      "cluster-id": hexId(this.clusterId),
      "cluster-version":
        this.clusterVersion === "" ? "to_be_decided" : shortVersion(this.clusterVersion),
    });
    this.#transport.start(this.#seams());
    if (opened.founding !== undefined) this.#raft.bootstrap(opened.founding.peers);
    for (const member of this.machine.members.list()) {
      if (member.id !== this.memberId) this.#transport.addPeer(member.id, member.peerUrls);
    }
    for (const { id, peerUrls } of opened.remotes) this.#transport.addRemote(id, peerUrls);
    this.monitor.start();
    this.replica.start();
    this.#haste.start();
    this.#versions.start(this.#raft.basicStatus().commit);
    this.#corruption.start();
    this.compactions.maybeStart();
  }

  #createHaste(): ElectionHaste {
    const { host, config, memberId, replica } = this;
    const members = this.machine.members.list();
    return new ElectionHaste({
      host,
      config,
      memberId,
      replica,
      isAlone:
        this.opened.isForcedAlone ||
        (this.opened.founding?.peers.length ?? 0) === 1 ||
        (members.length === 1 && members[0]!.id === memberId),
      activeCount: () =>
        this.machine.members
          .list()
          .filter(({ id }) => this.#transport.activeSinceMs(id) !== undefined).length,
    });
  }

  async #stop(): Promise<void> {
    await this.#prepareStop();
    await this.#handOver();
    if (this.#phase === "failed") return;
    this.#phase = "stopping";
    this.#silence();
    for (const waiter of this.#readyWaiters.splice(0)) waiter.reject(new Error("the member stops"));
    const kept = this.#logKeeper.stop();
    const installed = this.#installer.stop();
    this.commits.stop();
    await kept;
    await installed;
    this.replica.writeState();
    this.machine.sealBatch();
    await closeMember(this.opened);
    this.#phase = "stopped";
  }

  /** Others need not find out by an election timeout that this member has gone. */
  async #handOver(): Promise<void> {
    const ids = {
      "local-member-id": hexId(this.memberId),
      "current-leader-member-id": hexId(this.leaderId),
    };
    const voters = this.machine.members.list().filter((member) => !member.isLearner);
    if (this.isStopping) return;
    if (!this.isLeader) {
      this.host.log.info("skipped leadership transfer; local server is not leader", ids);
    } else if (voters.length < 2) {
      this.host.log.info("skipped leadership transfer for single voting member cluster", ids);
    } else {
      // Raft gives a transfer up after one election timeout.
      await this.#transfers.handOver(this.memberId, 2 * this.config.electionMs);
    }
  }

  /** While the log still works: what parts want to write down before the end. */
  async #prepareStop(): Promise<void> {
    const preparing = this.parts.filter((part) => part.prepareStop !== undefined);
    if (preparing.length === 0 || this.#phase !== "ready" || !this.isLeader) return;
    await new Promise<void>((resolve) => {
      let waiting = preparing.length;
      const timer = this.host.timers.after(prepareStopMs, resolve);
      const done = () => {
        waiting--;
        if (waiting > 0) return;
        timer.cancel();
        resolve();
      };
      for (const part of preparing) part.prepareStop?.(done);
    });
  }

  /** Nothing moves any more, and everybody who waits is told. */
  #silence(): void {
    this.replica.stop();
    this.monitor.stop();
    this.#versions.stop();
    this.compactions.stop();
    this.slicer.stop();
    this.proposals.stop(catalogue.stopped);
    this.reads.stop();
    this.replica.refuseConfChanges(catalogue.stopped);
    this.#transfers.stop();
    this.maintenance.stop();
    this.#health.stop();
    for (const part of this.parts) part.stop();
    this.gate.stop();
    this.leaderCalls.stop();
    this.#effects.stop();
    this.#corruption.stop();
    this.#applied.stop();
    this.#transport.stop();
    this.#setup.requests?.stop();
    for (const view of [...this.#views]) view.close();
  }

  #maybeReady(): void {
    if (this.#phase !== "starting" || !this.#published || this.clusterVersion === "") return;
    this.#phase = "ready";
    for (const waiter of this.#readyWaiters.splice(0)) waiter.resolve();
  }

  // --- what the replica loop tells --------------------------------------------------------------------

  #seams(): MemberSeams {
    const { host, memberId, clusterId, machine, replica } = this;
    return new MemberSeams({
      host,
      memberId,
      clusterId,
      machine,
      replica,
      dataDir: this.config.dataDir,
      answers: new MemberAnswers(this, this.changes, this.parts),
      view: () => this.view(),
      forgetOldStore: () => this.keeping.forgetOldStore(),
      onRemoved: () => this.#setup.onRemoved?.(),
    });
  }

  #observer(): ReplicaObserver {
    return {
      leaderChanged: (leader, former, term) => this.#leaderChanged(leader, former, term),
      leadershipEstablished: () => {
        for (const part of this.parts) part.leadershipEstablished?.();
        this.#versions.leadershipEstablished();
      },
      applyConfChange: (entry, change) => {
        const outcome = this.machine.applyConfChange(entry, change);
        this.#effects.applied(outcome);
        return outcome;
      },
      confStateChanged: (state) => this.machine.setConfState(state),
      snapshotArrived: (arrived) => this.#installer.begin(arrived),
      snapshotsSettled: () => this.#installer.purge(),
      entryApplied: (outcome) => {
        if (outcome.overQuota) this.#noSpace.raise();
      },
      turnEnded: () => this.#turnEnded(),
      failed: this.fatal,
    };
  }

  #turnEnded(): void {
    this.#versions.turnEnded();
    for (const part of this.parts) part.turnEnded?.();
    this.#applied.applied(this.appliedIndex);
    this.#haste.turnEnded();
    if (this.replica.isInstalling) return;
    this.compactions.maybeStart();
    this.#logKeeper.consider(this.machine.appliedIndex, this.replica.logBytes);
  }

  #leaderChanged(leader: bigint, former: bigint, term: number): void {
    const self = hexId(this.memberId);
    const raftLog = this.host.log.named("raft");
    if (leader === 0n)
      raftLog.info(`raft.node: ${self} lost leader ${hexId(former)} at term ${term}`);
    else if (former === 0n) {
      raftLog.info(`raft.node: ${self} elected leader ${hexId(leader)} at term ${term}`);
    } else {
      raftLog.info(
        `raft.node: ${self} changed leader from ${hexId(former)} to ${hexId(leader)} at term ${term}`,
      );
    }
    if (leader !== this.memberId) {
      for (const part of this.parts) part.leadershipLost?.();
    }
  }

  /** This member was removed: what it proposes is dropped from now on, so another one should lead soon. */
  #leaveLeadership(): void {
    if (!this.isLeader) return;
    const target = this.replica.successor();
    if (target !== undefined) this.replica.transferLeader(target);
  }

  /** A snapshot from the leader was installed. */
  #stateReplaced(): void {
    const { clusterVersion } = this;
    if (clusterVersion !== "") this.#versionChanged(clusterVersion);
    this.compactions.maybeStart();
    this.#maybeReady();
  }

  #versionChanged(version: string): void {
    const tooOld = invalidDowngrade(version);
    if (tooOld !== undefined) throw new Error(tooOld);
    // The form of the stored data follows the version of the cluster, from the first that knows forms on.
    this.machine.setStorageVersion(isLower(version, "3.6.0") ? "" : version);
    this.host.log.info("set initial cluster version", {
      "cluster-id": hexId(this.clusterId),
      "local-member-id": hexId(this.memberId),
      "cluster-version": shortVersion(version),
    });
    this.host.log.info("enabled capabilities for version", {
      "cluster-version": shortVersion(version),
    });
    this.#maybeReady();
  }
}
