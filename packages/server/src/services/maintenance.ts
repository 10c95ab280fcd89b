// The Maintenance service, except Snapshot, which has its own file.

import {
  AlarmAction,
  AlarmMember,
  AlarmResponse,
  alarmTypeNames,
  DefragmentResponse,
  DowngradeAction,
  DowngradeInfo,
  DowngradeInfoSetRequest,
  DowngradeResponse,
  decodeAlarmRequest,
  decodeDefragmentRequest,
  decodeDowngradeRequest,
  decodeHashKVRequest,
  decodeHashRequest,
  decodeMoveLeaderRequest,
  decodeStatusRequest,
  encodeAlarmRequest,
  encodeAlarmResponse,
  encodeDefragmentResponse,
  encodeDowngradeInfoSetRequest,
  encodeDowngradeResponse,
  encodeHashKVResponse,
  encodeHashResponse,
  encodeMoveLeaderResponse,
  encodeStatusResponse,
  HashKVResponse,
  HashResponse,
  MoveLeaderResponse,
  StatusResponse,
} from "@etcd-ts/api";
import { background } from "@etcd-ts/base";
import type { AlarmResult, ApplyResult, BackendView } from "@etcd-ts/machine";
import type { MethodTable, ServerCall } from "@etcd-ts/rpc";
import { firstWithRequests, isLower, shortVersion } from "../cluster-version.ts";
import { serverVersion } from "../config.ts";
import { durationText } from "../duration-text.ts";
import { Operation } from "../envelope.ts";
import { catalogue, refusalOf } from "../errors.ts";
import { responseHeader } from "../header.ts";
import type { LeaderTransfers } from "../leader-transfers.ts";
import { unknownFailure } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";
import { SnapshotStreams } from "./snapshot.ts";
import { decodeRequest, refuse, UnaryProposal, UnaryReader } from "./unary.ts";

/** `X.Y`, or `X.Y.Z` as semantic versioning has it, of which only the first two count. */
const downgradeTarget = /^(\d+)\.(\d+)(?:\.\d+(?:-[\w.-]*)?(?:\+[\w.-]*)?)?$/;

export class MaintenanceService {
  readonly methods: MethodTable;
  readonly #context: MemberContext;
  readonly #transfers: LeaderTransfers;
  readonly snapshots: SnapshotStreams;

  constructor(context: MemberContext, transfers: LeaderTransfers) {
    this.#context = context;
    this.#transfers = transfers;
    this.snapshots = new SnapshotStreams(context);
    const { gate } = context;
    const at = "/etcdserverpb.Maintenance/";
    this.methods = {
      [`${at}Status`]: gate.unary((call, m) => this.#status(call, m), "served"),
      [`${at}Alarm`]: gate.unary((call, m) => this.#alarm(call, m)),
      [`${at}Hash`]: gate.unary((call, m) => this.#hash(call, m)),
      [`${at}HashKV`]: gate.unary((call, m) => this.#hashKv(call, m)),
      [`${at}Defragment`]: gate.unary((call, m) => this.#defragment(call, m)),
      [`${at}MoveLeader`]: gate.unary((call, m) => this.#moveLeader(call, m)),
      [`${at}Downgrade`]: gate.unary((call, m) => this.#downgrade(call, m)),
      [`${at}Snapshot`]: gate.stream(
        "server_stream",
        (call) => this.snapshots.open(call),
        "served",
      ),
    };
  }

  stop(): void {
    this.snapshots.stop();
  }

  #status(call: ServerCall, message: Uint8Array): void {
    if (decodeRequest(call, message, decodeStatusRequest) === undefined) return;
    const { machine, quota, config } = this.#context;
    const response = new StatusResponse();
    response.header = responseHeader(this.#context.header, machine.revision);
    response.version = serverVersion;
    response.dbSize = quota.allocatedBytes;
    response.dbSizeInUse = quota.inUseBytes;
    response.dbSizeQuota = config.quotaBackendBytes;
    response.leader = this.#context.leaderId;
    response.raftIndex = this.#context.commitIndex;
    response.raftAppliedIndex = machine.appliedIndex;
    response.raftTerm = response.header.raftTerm;
    response.isLearner = machine.members.get(this.#context.memberId)?.isLearner ?? false;
    response.storageVersion = machine.storageVersion;
    if (this.#context.leaderId === 0n) response.errors.push(catalogue.noLeader.message);
    for (const alarm of machine.alarms.list()) {
      const kind = alarmTypeNames[alarm.kind] ?? String(alarm.kind);
      response.errors.push(`memberID:${alarm.memberId} alarm:${kind}`);
    }
    const { downgrade } = machine.members;
    const info = new DowngradeInfo();
    info.enabled = downgrade.enabled;
    info.targetVersion = downgrade.targetVersion;
    response.downgradeInfo = info;
    call.respond(encodeStatusResponse(response));
  }

  #alarm(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeAlarmRequest);
    if (request === undefined) return;
    // Stock members panic when they apply it, and again whenever they read their log.
    if (request.action === AlarmAction.ACTIVATE && alarmTypeNames[request.alarm] === undefined) {
      refuse(call, unknownFailure("unimplemented alarm activation"));
      return;
    }
    const proposal = new AlarmProposal(this.#context, call);
    this.#context.propose(Operation.alarm, encodeAlarmRequest(request), proposal);
  }

  #hash(call: ServerCall, message: Uint8Array): void {
    if (decodeRequest(call, message, decodeHashRequest) === undefined) return;
    const { machine } = this.#context;
    const { clock } = this.#context.host;
    const startMs = clock.monotonicMs();
    const begin = (view: BackendView) => {
      const job = machine.hash(view);
      const running = this.#context.slicer.run(job, {
        done: () => {
          view.close();
          this.#context.counts.hashSeconds.observe((clock.monotonicMs() - startMs) / 1000);
          const response = new HashResponse();
          response.header = responseHeader(this.#context.header, machine.revision);
          response.hash = job.hash;
          call.respond(encodeHashResponse(response));
        },
        failed: this.#context.fatal,
      });
      call.onCancel = () => {
        running.cancel();
        view.close();
      };
    };
    background(this.#context.view().then(begin), this.#context.fatal);
  }

  #hashKv(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeHashKVRequest);
    if (request === undefined) return;
    const { machine } = this.#context;
    const job = machine.hashKv(request.revision);
    if (job.error !== undefined) {
      refuse(call, refusalOf(job.error));
      return;
    }
    const { clock } = this.#context.host;
    const startMs = clock.monotonicMs();
    this.#context.runForCall(call, job, () => {
      this.#context.counts.hashKvSeconds.observe((clock.monotonicMs() - startMs) / 1000);
      const response = new HashKVResponse();
      response.header = responseHeader(this.#context.header, machine.revision);
      response.hash = job.hash;
      response.compactRevision = job.compactRevision;
      response.hashRevision = job.hashRevision;
      call.respond(encodeHashKVResponse(response));
    });
  }

  #defragment(call: ServerCall, message: Uint8Array): void {
    if (decodeRequest(call, message, decodeDefragmentRequest) === undefined) return;
    const { host, quota } = this.#context;
    const start = host.clock.monotonicMs();
    host.log.info("starting defragment");
    background(
      this.#context.defragment().then(() => {
        quota.refresh();
        host.log.info("finished defragment", {
          took: durationText(host.clock.monotonicMs() - start),
        });
        call.respond(encodeDefragmentResponse(new DefragmentResponse()));
      }),
      (error) => {
        host.log.warn("failed to defragment", { error: error.message });
        refuse(call, { code: 2, message: error.message });
      },
    );
  }

  #moveLeader(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeMoveLeaderRequest);
    if (request === undefined) return;
    if (!this.#context.isLeader) {
      refuse(call, catalogue.notLeader);
      return;
    }
    const target = this.#context.machine.members.get(request.targetId);
    if (target === undefined || target.isLearner) {
      refuse(call, catalogue.badLeaderTransferee);
      return;
    }
    this.#transfers.begin(call, request.targetId, () =>
      call.respond(encodeMoveLeaderResponse(new MoveLeaderResponse())),
    );
  }

  #downgrade(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeDowngradeRequest);
    if (request === undefined) return;
    switch (request.action) {
      case DowngradeAction.VALIDATE:
      case DowngradeAction.ENABLE:
        this.#checkDowngrade(call, request.version, request.action === DowngradeAction.ENABLE);
        break;
      case DowngradeAction.CANCEL:
        this.#cancelDowngrade(call);
        break;
      default:
        refuse(call, catalogue.unknownMethod);
    }
  }

  #checkDowngrade(call: ServerCall, version: string, enable: boolean): void {
    const parts = downgradeTarget.exec(version);
    if (parts === null) {
      refuse(call, catalogue.wrongDowngradeVersionFormat);
      return;
    }
    if (this.#context.machine.members.clusterVersion === "") {
      refuse(call, catalogue.clusterVersionUnavailable);
      return;
    }
    const target = `${Number(parts[1])}.${Number(parts[2])}.0`;
    this.#context.linearize(new DowngradeCheck(this.#context, call, target, enable));
  }

  /** Answers OK whether there was a job or not, as etcd does. */
  #cancelDowngrade(call: ServerCall): void {
    if (!this.#context.machine.members.downgrade.enabled) {
      answerDowngrade(this.#context, call);
      return;
    }
    proposeDowngrade(this.#context, call, false, "");
  }
}

class AlarmProposal extends UnaryProposal {
  override answer(result: ApplyResult): void {
    const { alarms, revision } = result as AlarmResult;
    const response = new AlarmResponse();
    response.header = responseHeader(this.context.header, revision);
    for (const alarm of alarms) {
      const member = new AlarmMember();
      member.memberId = alarm.memberId;
      member.alarm = alarm.kind;
      response.alarms.push(member);
    }
    this.call.respond(encodeAlarmResponse(response));
  }
}

/** After a linearizable read: is the target one minor below the cluster, and is no other job running? */
class DowngradeCheck extends UnaryReader {
  readonly #target: string;
  readonly #enable: boolean;

  constructor(context: MemberContext, call: ServerCall, target: string, enable: boolean) {
    super(context, call);
    this.#target = target;
    this.#enable = enable;
  }

  override ready(): void {
    const { members } = this.context.machine;
    const [major, minor] = (members.clusterVersion ?? "").split(".").map(Number);
    // Members before 3.5 end when they meet the request.
    const isKnown = !isLower(members.clusterVersion, firstWithRequests);
    if (!isKnown || this.#target !== `${major}.${minor! - 1}.0`) {
      refuse(this.call, catalogue.invalidDowngradeTargetVersion);
    } else if (members.downgrade.enabled) {
      refuse(this.call, catalogue.downgradeInProcess);
    } else if (this.#enable) {
      proposeDowngrade(this.context, this.call, true, this.#target);
    } else {
      answerDowngrade(this.context, this.call);
    }
  }
}

class DowngradeProposal extends UnaryProposal {
  override answer(): void {
    answerDowngrade(this.context, this.call);
  }
}

function proposeDowngrade(
  context: MemberContext,
  call: ServerCall,
  enabled: boolean,
  target: string,
): void {
  const request = new DowngradeInfoSetRequest();
  request.enabled = enabled;
  request.ver = target;
  const body = encodeDowngradeInfoSetRequest(request);
  context.propose(Operation.downgradeInfoSet, body, new DowngradeProposal(context, call));
}

function answerDowngrade(context: MemberContext, call: ServerCall): void {
  const { machine } = context;
  const response = new DowngradeResponse();
  response.header = responseHeader(context.header, machine.revision);
  response.version = shortVersion(machine.members.clusterVersion);
  call.respond(encodeDowngradeResponse(response));
}
