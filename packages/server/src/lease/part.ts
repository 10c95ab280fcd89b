// Leases as a part of the member: the keeper that counts, the authority that answers for it, the service.

import { catalogue } from "../errors.ts";
import { counter } from "../metrics/families.ts";
import type { MemberContext, MemberPart } from "../seams.ts";
import { LeaseAuthority } from "./authority.ts";
import { KeepAliveStream } from "./keep-alive-stream.ts";
import { LeaseKeeper } from "./keeper.ts";
import { LeaseService } from "./service.ts";

export function createLeasePart(context: MemberContext): MemberPart {
  const keeper = new LeaseKeeper(context);
  const authority = new LeaseAuthority(context, keeper);
  const service = new LeaseService(context, keeper, authority);
  const streams = new Set<KeepAliveStream>();
  const { gate } = context;
  return {
    methods: {
      "/etcdserverpb.Lease/LeaseGrant": gate.unary((call, message) => service.grant(call, message)),
      "/etcdserverpb.Lease/LeaseRevoke": gate.unary((call, message) =>
        service.revoke(call, message),
      ),
      "/etcdserverpb.Lease/LeaseTimeToLive": gate.unary((call, message) =>
        service.timeToLive(call, message),
      ),
      "/etcdserverpb.Lease/LeaseLeases": gate.unary((call) => service.leases(call)),
      "/etcdserverpb.Lease/LeaseKeepAlive": gate.stream("bidi_stream", (call) => {
        const stream = new KeepAliveStream(call, authority, (it) => streams.delete(it));
        streams.add(stream);
        return stream;
      }),
    },
    metrics: [
      counter(
        "etcd_debugging_lease_renewed_total",
        "The number of renewed leases seen by the leader.",
        () => keeper.renewedCount,
      ),
      counter(
        "etcd_debugging_server_lease_expired_total",
        "The total number of expired leases.",
        () => keeper.expiredCount,
      ),
    ],
    leaseGranted: (id, ttlSeconds) => keeper.granted(id, ttlSeconds),
    leaseRevoked: (id) => {
      keeper.revoked(id);
      authority.revoked(id);
    },
    leadershipEstablished: () => keeper.promote(),
    leadershipLost: () => {
      keeper.demote();
      authority.refuseWaiting(catalogue.noLeader);
    },
    turnEnded: () => {
      keeper.turnEnded();
      authority.turnEnded();
    },
    renewLease: (id) => authority.renewForPeer(id),
    leaseTimeToLive: (request) => authority.timeToLiveForPeer(request),
    stateReplaced: () => keeper.demote(),
    // What is left of every lease goes into the log, or a restart would give it its full time again.
    prepareStop: (done) => {
      let waiting = 1;
      const ended = (): void => {
        waiting -= 1;
        if (waiting === 0) done();
      };
      // A refusal may come from inside, so the count begins with one for ourselves.
      waiting += keeper.checkpoint(0, ended);
      ended();
    },
    stop: () => {
      for (const stream of [...streams]) stream.stop();
      keeper.stop();
      authority.stop();
    },
  };
}
