// Clusters of processes: founding, service from every member, the loss and the return of one, changes of the
// membership, disaster recovery.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clusterFlags,
  ctl,
  metric,
  type PlannedMember,
  planMembers,
  stopAll,
  until,
} from "./cluster-processes.ts";
import { type DaemonProcess, inFolder } from "./daemon-process.ts";

const ready = "ready to serve client requests";

test("three members found a cluster, serve, lose one, and take it back", () =>
  inFolder(async (directory, start) => {
    const members = await planMembers(directory, 3);
    const daemons = members.map((member) => start(clusterFlags(member, members)));
    await Promise.all(daemons.map((daemon) => daemon.line(ready)));
    for (const [i, { clientUrl }] of members.entries()) {
      assert.equal(await ctl(clientUrl, "put", `key${i}`, `from ${i}`), "OK");
    }
    for (const { clientUrl } of members) {
      const pairs = "key0\nfrom 0\nkey1\nfrom 1\nkey2\nfrom 2";
      assert.equal(await ctl(clientUrl, "get", "key", "--prefix"), pairs);
      assert.equal((await ctl(clientUrl, "member", "list")).split("\n").length, 3);
    }
    let leading: (number | undefined)[] = [];
    await until("one of them leads", async () => {
      leading = await Promise.all(members.map((each) => metric(each, "etcd_server_is_leader")));
      return [...leading].sort().join() === "0,0,1";
    });
    const leader = leading.indexOf(1);
    const text = await (await fetch(`${members[leader]?.clientUrl}/metrics`)).text();
    assert.match(text, /^etcd_network_peer_sent_bytes_total\{To="[0-9a-f]+"\} [1-9]/m);
    assert.equal(text.match(/^# TYPE etcd_network_active_peers gauge$/gm)?.length, 1);

    await daemons[leader]?.stop("SIGKILL");
    const rest = members.filter((_, i) => i !== leader);
    const endpoints = rest.map(({ clientUrl }) => clientUrl).join(",");
    await until("the other two elect a leader", async () => {
      const states = await Promise.all(rest.map((each) => metric(each, "etcd_server_is_leader")));
      return states.includes(1);
    });
    assert.equal(await ctl(endpoints, "put", "key3", "without the leader"), "OK");

    const lost = members[leader] as PlannedMember;
    const again = start(clusterFlags(lost, members));
    await again.line(ready);
    assert.ok(again.messages().includes("server has already been initialized"));
    assert.equal(
      await ctl(lost.clientUrl, "get", "key3", "--print-value-only"),
      "without the leader",
    );
    const others = daemons.filter((_, i) => i !== leader);
    await stopAll([again, ...others]);
    assert.deepEqual(
      again.lines.filter(({ level }) => level === "error"),
      [],
    );
  }));

test("a member without its quorum is told to stop, and does", () =>
  inFolder(async (directory, start) => {
    const members = await planMembers(directory, 3);
    const [first] = members as [PlannedMember, ...PlannedMember[]];
    const timeouts = ["--raft-read-timeout=1s", "--raft-write-timeout=6s"];
    const progress = "--watch-progress-notify-interval=50ms";
    const daemon = start(clusterFlags(first, members, ...timeouts, progress));
    await daemon.line("raft-read-timeout increased to minimum value: 5s");
    const short = await daemon.line(
      "watch progress notify interval is too short; using the minimum",
    );
    assert.deepEqual([short.level, short["given"], short["minimum"]], ["warn", "50ms", "100ms"]);
    await daemon.line("now serving peer/client/metrics");
    assert.ok(!daemon.messages().some((msg) => msg.startsWith("raft-write-timeout")));
    assert.equal((await daemon.stop()).exitCode, 0, daemon.text());
    assert.ok(!daemon.messages().includes(ready));
  }));

test("members join a running cluster, and a removed one ends and says why", () =>
  inFolder(async (directory, start) => {
    const [first, second, third] = (await planMembers(directory, 3)) as [
      PlannedMember,
      PlannedMember,
      PlannedMember,
    ];
    // Without the check, which wants all members connected for five seconds before the next change.
    const lenient = "--strict-reconfig-check=false";
    const founder = start(clusterFlags(first, [first], lenient));
    await founder.line(ready);
    await ctl(first.clientUrl, "put", "before", "joining");

    const added = await ctl(
      first.clientUrl,
      "member",
      "add",
      "m2",
      `--peer-urls=${second.peerUrl}`,
    );
    assert.match(added, /ETCD_INITIAL_CLUSTER_STATE="existing"/);
    const existing = "--initial-cluster-state=existing";
    const joined = start(clusterFlags(second, [first, second], existing));
    await joined.line(ready);
    assert.equal(await ctl(second.clientUrl, "get", "before", "--print-value-only"), "joining");

    const learner = ["member", "add", "m3", `--peer-urls=${third.peerUrl}`, "--learner"];
    await ctl(first.clientUrl, ...learner);
    const learning = start(clusterFlags(third, [first, second, third], existing));
    await learning.line(ready);
    const list = await ctl(first.clientUrl, "member", "list");
    const thirdId = /^([0-9a-f]+), started, m3, .*, true$/m.exec(list)?.[1] ?? "";
    await until("the learner is promoted", () =>
      ctl(first.clientUrl, "member", "promote", thirdId).then(
        () => true,
        (error: Error) => {
          assert.match(error.message, /in sync with leader|leader changed|no leader|timed out/);
          return false;
        },
      ),
    );
    assert.equal(await ctl(third.clientUrl, "put", "after", "joining"), "OK");

    const secondId = /^([0-9a-f]+), started, m2/m.exec(list)?.[1] ?? "";
    await ctl(first.clientUrl, "member", "remove", secondId);
    assert.equal((await joined.ended).exitCode, 0, joined.text());
    const reason = await joined.line("server error");
    assert.equal(reason["error"], "the member has been permanently removed from the cluster");
    assert.ok(joined.messages().includes("data-dir used by this member must be removed"));
    assert.equal(await ctl(third.clientUrl, "get", "after", "--print-value-only"), "joining");
    // A start on what a removed member left ends, too.
    const again = start(clusterFlags(second, [first, second], existing));
    assert.equal((await again.ended).exitCode, 0, again.text());
    assert.ok(again.messages().includes("data-dir used by this member must be removed"));
    assert.equal((await learning.stop()).exitCode, 0);
    assert.equal((await founder.stop()).exitCode, 0);
  }));

test("joining a cluster that is not there is one clear message", () =>
  inFolder(async (directory, start) => {
    const [first, second] = (await planMembers(directory, 2)) as [PlannedMember, PlannedMember];
    const existing = "--initial-cluster-state=existing";
    for (const cluster of [[first], [first, second]]) {
      const daemon = start(clusterFlags(first, cluster, existing));
      assert.equal((await daemon.ended).exitCode, 1);
      const fatal = daemon.lines.filter((line) => line.level === "fatal");
      assert.equal(fatal.length, 1, daemon.text());
      assert.match(String(fatal[0]?.["error"]), /^cannot fetch cluster info from peer urls: /);
      assert.equal(fatal[0]?.["stacktrace"], undefined);
    }
  }));

test("--force-new-cluster makes a cluster of one out of a member of three", () =>
  inFolder(async (directory, start) => {
    const members = await planMembers(directory, 3);
    const [first] = members as [PlannedMember, ...PlannedMember[]];
    const daemons: DaemonProcess[] = members.map((member) => start(clusterFlags(member, members)));
    await Promise.all(daemons.map((daemon) => daemon.line(ready)));
    assert.equal(await ctl(first.clientUrl, "put", "kept", "through it"), "OK");
    // What the log does not know to be committed is dropped, as etcd does; a further write makes it known.
    assert.equal(await ctl(first.clientUrl, "put", "and", "more"), "OK");
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    const alone = start(clusterFlags(first, members, "--force-new-cluster"));
    await alone.line(ready);
    assert.equal(await ctl(first.clientUrl, "get", "kept", "--print-value-only"), "through it");
    assert.equal((await ctl(first.clientUrl, "member", "list")).split("\n").length, 1);
    assert.equal(await ctl(first.clientUrl, "put", "new", "life"), "OK");
    assert.equal((await alone.stop()).exitCode, 0);
    // And without the flag it stays so.
    const later = start(clusterFlags(first, members));
    await later.line(ready);
    assert.equal(await ctl(first.clientUrl, "get", "new", "--print-value-only"), "life");
    assert.equal((await later.stop()).exitCode, 0);
  }));
