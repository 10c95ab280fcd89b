// Raft, requests and health of a member.

import { shortVersion } from "../cluster-version.ts";
import { serverVersion } from "../config.ts";
import { hexId } from "../ids.ts";
import type { Member } from "../member.ts";
import type { MetricFamily } from "../metric-types.ts";
import { counter, gauge, labelled } from "./families.ts";

export function serverFamilies(member: Member): MetricFamily[] {
  const { replica, machine, proposals, reads, gate, http, times, quota } = member;
  let formerVersion = "";
  return [
    labelled(
      "etcd_cluster_version",
      "gauge",
      "The cluster version that is in force: 1.",
      ["cluster_version"],
      (emit) => {
        const present = machine.members.clusterVersion;
        if (present === "") return;
        if (formerVersion !== "" && formerVersion !== present)
          emit([shortVersion(formerVersion)], 0);
        formerVersion = present;
        emit([shortVersion(present)], 1);
      },
    ),
    labelled(
      "etcd_server_apply_duration_seconds",
      "histogram",
      "Time to apply an entry.",
      ["version", "op", "success"],
      (emit) => times.collectApplies(emit),
    ),
    labelled(
      "etcd_server_client_requests_total",
      "counter",
      "Calls by kind and by the API version of the client.",
      ["type", "client_api_version"],
      (emit) => {
        gate.settleCounts();
        gate.clientRequests.collect(emit);
      },
    ),
    gauge("etcd_server_has_leader", "Whether a leader is known.", () =>
      replica.leader === 0n ? 0 : 1,
    ),
    counter(
      "etcd_server_health_failures",
      "Answers of /health that were not healthy.",
      () => http.healthFailureCount,
    ),
    counter(
      "etcd_server_health_success",
      "Healthy answers of /health.",
      () => http.healthSuccessCount,
    ),
    labelled(
      "etcd_server_healthcheck",
      "gauge",
      "Last result of each check of /livez and /readyz.",
      ["type", "name"],
      (emit) => http.checkStates.collect(emit),
    ),
    labelled(
      "etcd_server_healthchecks_total",
      "counter",
      "Checks of /livez and /readyz that were run.",
      ["type", "name", "status"],
      (emit) => http.checkRuns.collect(emit),
    ),
    counter(
      "etcd_server_heartbeat_send_failures_total",
      "Heartbeats that were sent late.",
      () => replica.ticker.lateCount,
    ),
    labelled("etcd_server_id", "gauge", "The id of this member.", ["server_id"], (emit) =>
      emit([hexId(member.memberId)], 1),
    ),
    gauge("etcd_server_is_leader", "Whether this member leads.", () => (replica.isLeader ? 1 : 0)),
    gauge("etcd_server_is_learner", "Whether this member is a learner.", () =>
      member.isLearner ? 1 : 0,
    ),
    counter(
      "etcd_server_leader_changes_seen_total",
      "Leaders seen since the start.",
      () => replica.leaderChangesCount,
    ),
    labelled(
      "etcd_server_learner_promote_failures",
      "counter",
      "Promotions of learners that failed.",
      ["Reason"],
      (emit) => {
        for (const [reason, count] of member.changes.promoteFailures) emit([reason], count);
      },
    ),
    counter(
      "etcd_server_learner_promote_successes",
      "Learners that this member promoted.",
      () => member.changes.promoteSuccessCount,
    ),
    gauge(
      "etcd_server_proposals_applied_total",
      "The applied raft index.",
      () => machine.appliedIndex,
    ),
    gauge(
      "etcd_server_proposals_committed_total",
      "The committed raft index.",
      () => replica.commitIndex,
    ),
    counter(
      "etcd_server_proposals_failed_total",
      "Proposals that failed or timed out here.",
      () => proposals.failedCount,
    ),
    gauge(
      "etcd_server_proposals_pending",
      "Proposals that wait for their result.",
      () => proposals.pendingCount,
    ),
    gauge("etcd_server_quota_backend_bytes", "The space quota.", () => quota.limitBytes),
    labelled(
      "etcd_server_range_duration_seconds",
      "histogram",
      "Time of ranges.",
      ["success"],
      (emit) => times.collectRanges(emit),
    ),
    counter(
      "etcd_server_read_indexes_failed_total",
      "ReadIndex rounds that failed.",
      () => reads.failedCount,
    ),
    labelled(
      "etcd_server_request_duration_seconds",
      "histogram",
      "Time of a request from its arrival to its result.",
      ["type", "success"],
      (emit) => times.collectRequests(emit),
    ),
    counter(
      "etcd_server_slow_apply_total",
      "Entries that were slow to apply.",
      () => times.slowApplyCount,
    ),
    counter(
      "etcd_server_slow_read_indexes_total",
      "ReadIndex rounds that were late.",
      () => reads.slowCount,
    ),
    gauge("etcd_server_snapshot_apply_in_progress_total", "A received snapshot is applied.", () =>
      replica.isInstalling ? 1 : 0,
    ),
    labelled("etcd_server_version", "gauge", "The server's version.", ["server_version"], (emit) =>
      emit([serverVersion], 1),
    ),
  ];
}
