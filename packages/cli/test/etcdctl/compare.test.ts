// The same commands by a stock etcdctl and by ours, each against a stock member of its own: standard output,
// standard error and exit status have to agree, but for identifiers, ports and times, and for the places in
// which the releases differ (the stock one is older than what we follow).

import assert from "node:assert/strict";
import { test } from "node:test";
import { etcdctl } from "../../src/etcdctl/tool.ts";
import { splitWords } from "../../src/shared/word-split.ts";
import { etcdctlProgram, ours } from "./ours.ts";
import {
  type Finished,
  runProgram,
  skipWithoutBoth,
  startStockServer,
  stockEtcdctl,
} from "./stock.ts";

interface Step {
  /** Words as in `txn` input; `$L1` is the first lease granted, `$M` the member's id. */
  readonly line: string;
  readonly stdin?: string;
  /** Run ours as a program, since a command that it runs inherits its output. */
  readonly asProgram?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Oldest client release that behaves alike. */
  readonly since?: "3.5";
  /** Only the first line of standard error counts (usage texts differ). */
  readonly firstErrorLine?: boolean;
}

const script: readonly (string | Step)[] = [
  // Keys and values.
  "put fruit/apple red",
  "put fruit/apple green --prev-kv",
  "put fruit/apple green --prev-kv -w json",
  "put fruit/apple green --prev-kv -w fields",
  "put fruit/apple green --prev-kv -w protobuf",
  "put -w json fruit/pear yellow",
  "put k -- -v",
  "put -- -k v",
  "put empty ''",
  // Words of a command line cannot carry these bytes through Node, the input of a transaction can.
  {
    line: "txn",
    stdin: '\nput "bin\\x01\\xff\\"quote" "v\\n\\t\\u00e9\\u200b\\xf0"\n\n\n',
  },
  "put --prev-kv fresh one",
  "put fresh --ignore-value",
  "put fresh two --ignore-lease --prev-kv",
  "put missing --ignore-value",
  "put '' x",
  "put x y --lease 7b",
  { line: "put from-stdin", stdin: "line one\nline two\n" },
  { line: "put from-stdin", stdin: "" },
  "get fruit/ fruit0",
  "get fruit/ --prefix --keys-only",
  "get fruit/ --prefix --print-value-only",
  "get --prefix fruit/ --limit=1 -w json",
  "get --prefix fruit/ --limit 0x1 -w fields",
  "get fruit/apple --hex",
  "get bin --prefix --hex",
  "get bin --prefix",
  "get bin --prefix -w fields",
  "get bin --prefix -w json",
  "get bin --prefix -w protobuf",
  "get empty",
  "get nothing",
  "get nothing -w fields",
  "get '' --prefix --keys-only",
  "get '' --from-key --keys-only --order descend",
  "get fruit/b --from-key --keys-only",
  "get '' --prefix --sort-by create --order DESCEND --print-value-only",
  "get '' --prefix --sort-by modify --limit 2",
  "get '' --prefix --sort-by version --order ascend -w json",
  "get '' --prefix --sort-by value --keys-only",
  "get fruit/apple --rev 2",
  "get fruit/apple --rev=1_0",
  "get fruit/apple --rev=-3",
  "get fruit/apple --rev 9999",
  "get fruit/apple --consistency s",
  "get a b c",
  "get ''",
  "get fruit/apple -w bogus",
  "get fruit/apple -w table",
  "get fruit/ --prefix --print-value-only -w json",
  "put tabled yes -w table",
  "get tabled",
  { line: "get fruit/ --prefix --count-only -w fields", since: "3.5" },
  { line: "get fruit/ --prefix --count-only", since: "3.5" },
  { line: "get fruit/ --prefix --count-only --keys-only -w fields", since: "3.5" },
  "get fruit/apple extra --prefix=false",
  // Words and flags.
  { line: "put k -v", firstErrorLine: true },
  { line: "get a --limit", firstErrorLine: true },
  { line: "get a --limit 99999999999999999999", firstErrorLine: true },
  { line: "get a --prefix=maybe", firstErrorLine: true },
  { line: "get a --command-timeout 5", firstErrorLine: true },
  { line: "get a --=x", firstErrorLine: true },
  { line: "get a --endpoints 'x\"y'", firstErrorLine: true },
  { line: "gett", firstErrorLine: true },
  { line: "comp", firstErrorLine: true },
  { line: "--cluster endpoint status", firstErrorLine: true },
  "ge fruit/apple",
  "-w json get fruit/apple",
  "get -wjson fruit/apple",
  "get -w=json fruit/apple -w fields",
  // Transactions.
  {
    line: "txn",
    stdin:
      'mod("fruit/fig") = "0"\n\nput fruit/fig "dark blue"\nget fruit/fig\n\nget fruit/apple\n\n',
  },
  {
    line: "txn -w json",
    stdin: 'mod("fruit/fig") = "0"\n\nput fruit/fig "dark blue"\n\nget fruit/apple\nget none\n\n',
  },
  {
    line: "txn -w fields",
    stdin: 'value("fruit/fig") = "dark blue"\n\ndel fruit/fig --prev-kv\nget fruit/apple\n\n\n',
  },
  { line: "txn -w protobuf", stdin: 'ver("fruit/fig") > "0"\n\n\nget fruit/apple\n\n' },
  {
    line: "txn -i",
    stdin:
      'c("fruit/apple") != "1"\n val("fruit/apple") > `a`  junk \n\nput t1 "a b"\nput t2 "q\\x41"\n\n\n',
  },
  { line: "txn", stdin: "\nput d 1\nput d 2\n\n\n" },
  { line: "txn", stdin: "\n\n" },
  { line: "txn", stdin: "" },
  { line: "txn", stdin: 'mod("a")="1"\n' },
  { line: "txn", stdin: 'mod(a) = "x"\n' },
  { line: "txn", stdin: 'mod "a"\n' },
  { line: "txn", stdin: 'foo("a") = "1"\n' },
  { line: "txn", stdin: 'mod("a") = "x"\n' },
  { line: "txn", stdin: "\nfoo bar\n\n\n" },
  { line: "txn", stdin: "\nget\n\n\n" },
  { line: "txn", stdin: "\nput a\n\n\n" },
  { line: "txn", stdin: "\ndel a b c\n\n\n" },
  { line: "txn", stdin: "\nget a --consistency q\n\n\n" },
  // Deletion.
  "del fruit/apple --prev-kv",
  "del nothing",
  "del nothing -w json",
  "del nothing -w fields",
  "put d1 v1",
  "put d2 v2",
  "put d3 v3",
  "del d1 --prev-kv -w json",
  "del d --prefix --prev-kv -w fields",
  "del zzz --from-key",
  { line: "del fruit/a fruit/z --range", since: "3.5" },
  "del ''",
  // Leases.
  "lease grant 600",
  "put --lease=$L1 leased one",
  "get leased -w json",
  "get leased -w fields",
  "lease timetolive $L1 -w protobuf",
  "lease timetolive $L1 --keys",
  "lease timetolive $L1 --keys -w json",
  "lease timetolive $L1 -w json",
  "lease timetolive $L1 --keys -w fields",
  "lease timetolive 1234",
  "lease timetolive 1234 -w json",
  "lease list",
  "lease list -w json",
  "lease list -w fields",
  "lease list -w protobuf",
  "lease keep-alive --once $L1",
  "lease keep-alive --once $L1 -w json",
  "lease keep-alive --once $L1 -w fields",
  "lease keep-alive --once 1234",
  "lease keep-alive 1234",
  "lease keep-alive 1234 -w json",
  "lease revoke $L1",
  "lease revoke $L1",
  "get leased",
  "lease list",
  "lease list -w json",
  "lease grant 60 -w json",
  "lease grant 60 -w fields",
  "lease revoke $L3 -w json",
  "lease revoke $L2 -w fields",
  "lease grant 99999999999",
  "lease grant 0",
  // Compaction and history.
  "compaction 5",
  "compaction 5",
  "compact 6 --physical",
  "compaction 99999",
  "get fruit/apple --rev 2",
  "watch fruit/apple --rev 2",
  "watch fruit/apple --rev 2 -w json",
  { line: "watch -i", stdin: "\nfoo\nwatch\nfoo bar\nwatch a b --prefix\n" },
  { line: "watch -i", stdin: "watch a --bogus\n" },
  { line: "watch -i", stdin: "watch --prefix\n" },
  { line: "watch -i", stdin: "watch a --\n" },
  {
    line: "watch t1 --rev 7 -- sh -c 'echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE; exit 3'",
    asProgram: true,
  },
  { line: "watch t1 --rev 7 -- /nowhere/at/all", asProgram: true },
  // Cluster.
  "member list",
  "member list -w json",
  "member list -w fields",
  "member add n2 --peer-urls=127.0.0.1:1",
  "member add n2 --peer-urls=http://127.0.0.1:1/path",
  "member add n2 --peer-urls=ftp://127.0.0.1:1",
  "member add n2 --peer-urls=http://127.0.0.1",
  "member remove 1234",
  "member update $M",
  "member promote $M",
  "endpoint health",
  "endpoint health -w json",
  "endpoint health -w fields",
  "endpoint health --cluster",
  "endpoint --cluster health",
  "endpoint status -w json",
  "endpoint hashkv -w json",
  "endpoint hashkv --rev 99999 -w json",
  { line: "endpoint status", env: { ETCDCTL_CLUSTER: "true", ETCDCTL_WRITE_OUT: "json" } },
  "alarm list",
  "alarm list -w json",
  "alarm disarm -w json",
  "defrag",
  "move-leader 1234",
  "snapshot save /nowhere/at/all/x.db",
  // Users and roles.
  "role add r1",
  "role add r1",
  "role list",
  "role get r1",
  "role grant-permission r1 read fruit/apple",
  "role grant-permission r1 READWRITE --prefix fruit/",
  "role grant-permission r1 write zoo --from-key",
  "role grant-permission r1 write a b",
  "role get r1",
  "role get r1 -w json",
  "role get r1 -w fields",
  "role list -w json",
  "role list -w fields",
  "role revoke-permission r1 fruit/apple",
  "role revoke-permission r1 --prefix fruit/",
  "role revoke-permission r1 zoo --from-key",
  "role revoke-permission r1 nothing",
  "role get nobody",
  "user add bob:pw",
  "user add bob:pw",
  "user add ann --new-user-password pw",
  { line: "user add eve --interactive=false", stdin: "secret\n" },
  "user grant-role bob r1",
  "user grant-role bob nothing",
  "user get bob",
  "user get bob --detail",
  "user get bob -w json",
  "user list",
  "user list -w json",
  "user revoke-role bob r1",
  "user revoke-role bob r1",
  { line: "user passwd bob --interactive=false", stdin: "other\n" },
  "user delete ann",
  "user delete ann",
  "auth enable",
  "auth disable",
  { line: "auth status -w json", since: "3.5" },
  "role delete r1",
  "role delete r1",
  // Connections.
  "get a --endpoints= ",
  "get a --cert nowhere --key nowhere",
  "get a --user bob:other",
  { line: "get a", env: { ETCDCTL_USER: "bob" }, stdin: "other\n" },
];

/** So that no pause of the machine is an error of a command. */
const patient = { ETCDCTL_DIAL_TIMEOUT: "60s", ETCDCTL_COMMAND_TIMEOUT: "60s" };

/** Flags that make no sense with the command at hand, such as `--endpoints` given twice. */
const ownEndpoints = /--endpoints=/;

test("a stock etcdctl and ours say the same", { skip: skipWithoutBoth }, async () => {
  const client = stockEtcdctl as string;
  const version = (await runProgram(client, ["version"])).stdout;
  const isOld = /etcdctl version: 3\.4\./.test(version);
  const [theirServer, ourServer] = await Promise.all([startStockServer(), startStockServer()]);
  try {
    const theirs = await Side.make(theirServer.endpoint);
    const mine = await Side.make(ourServer.endpoint);
    const problems: string[] = [];
    let compared = 0;
    const steps = script
      .map((it): Step => (typeof it === "string" ? { line: it } : it))
      .filter((it) => it.since === undefined || !isOld);
    for (const batch of batches(steps)) {
      // A stock client is a process; those of a batch run at the same time. Ours are quick.
      const expected = batch.map((step) =>
        runProgram(client, theirs.line(step.line), {
          ...(step.stdin === undefined ? {} : { stdin: step.stdin }),
          env: { ...patient, ...step.env },
        }),
      );
      for (const [i, step] of batch.entries()) {
        const line = mine.line(step.line);
        const env = { ...patient, ...step.env };
        const actual = step.asProgram
          ? await runProgram(etcdctlProgram, line, { env })
          : await ours(line, env, etcdctl, step.stdin);
        const wanted = theirs.plain(asOfToday(await (expected[i] as Promise<Finished>)), step);
        const got = mine.plain(actual, step);
        compared += 1;
        if (wanted !== got) {
          problems.push(`$ etcdctl ${step.line}\n--- stock\n${wanted}\n--- ours\n${got}\n`);
        }
      }
    }
    assert.ok(compared > 150);
    assert.equal(problems.length, 0, problems.join("\n"));
  } finally {
    await Promise.all([theirServer.stop(), ourServer.stop()]);
  }
});

/** Steps that may run together: several that only read, or one that does not. */
function batches(steps: readonly Step[]): Step[][] {
  const together = 4;
  const found: Step[][] = [];
  let open: Step[] | undefined;
  for (const step of steps) {
    const reads =
      /^(-w json )?(get|ge|member list|lease (list|timetolive)|alarm list|role (get|list)|user (get|list)) /.test(
        `${step.line} `,
      );
    if (!reads) {
      found.push([step]);
      open = undefined;
    } else if (open !== undefined && open.length < together) open.push(step);
    else {
      open = [step];
      found.push(open);
    }
  }
  return found;
}

/** One client and its member: puts its identifiers into commands, takes them out of results. */
class Side {
  readonly #endpoint: string;
  readonly #member: bigint;
  readonly #cluster: bigint;
  readonly #peerPort: string;
  readonly #leases: string[] = [];

  constructor(endpoint: string, member: bigint, cluster: bigint, peerPort: string) {
    this.#endpoint = endpoint;
    this.#member = member;
    this.#cluster = cluster;
    this.#peerPort = peerPort;
  }

  static async make(endpoint: string): Promise<Side> {
    const { stdout } = await ours([`--endpoints=${endpoint}`, "member", "list", "-w", "fields"]);
    const number = (name: string) =>
      BigInt((new RegExp(`"${name}" : (\\d+)`).exec(stdout) as RegExpExecArray)[1] as string);
    const peer = (/"PeerURL" : "http:\/\/127.0.0.1:(\d+)"/.exec(stdout) as RegExpExecArray)[1];
    return new Side(endpoint, number("ID"), number("ClusterID"), peer as string);
  }

  line(text: string): string[] {
    const words = splitWords(text).map((word) =>
      word
        .replace("$M", this.#member.toString(16))
        .replace(/\$L(\d)/g, (_all, digit) => this.#leases[Number(digit) - 1] ?? "missing"),
    );
    return ownEndpoints.test(text) ? words : [`--endpoints=${this.#endpoint}`, ...words];
  }

  plain(result: Finished, step: Step): string {
    const granted =
      /lease ([0-9a-f]{16}) granted/.exec(result.stdout)?.[1] ??
      hexOf(
        /"ID"(?::| : )(\d+)/.exec(step.line.startsWith("lease grant") ? result.stdout : "")?.[1],
      );
    if (granted !== undefined && !this.#leases.includes(granted)) this.#leases.push(granted);
    // Log lines and what they hold are not compared.
    let stderr = result.stderr.replace(/^\{.*\}\n/gm, "");
    if (step.firstErrorLine) stderr = `${stderr.split("\n", 1)[0]}\n`;
    let stdout = step.firstErrorLine ? "" : result.stdout;
    // The header in front has ids as varints, whose lengths differ: it goes, with its length.
    if (step.line.includes("-w protobuf") && stdout.startsWith("\n")) {
      stdout = stdout.slice(2 + stdout.charCodeAt(1));
    }
    let text = `stdout:\n${stdout}stderr:\n${stderr}exit status ${result.status}`;
    this.#leases.forEach((lease, i) => {
      const bytes = Buffer.from(encodeVarint(BigInt(`0x${lease}`))).toString("latin1");
      text = text
        .replaceAll(lease, `<lease ${i}>`)
        .replaceAll(BigInt(`0x${lease}`).toString(), `<lease ${i}>`)
        .replaceAll(bytes, `<lease ${i}>`);
    });
    for (const [id, name] of [
      [this.#member, "<member>"],
      [this.#cluster, "<cluster>"],
    ] as const) {
      text = text
        .replaceAll(id.toString(), name)
        .replaceAll(id.toString(16), name)
        .replaceAll(Buffer.from(encodeVarint(id)).toString("latin1"), name);
    }
    return text
      .replaceAll(this.#endpoint, "<endpoint>")
      .replaceAll(this.#peerPort, "<peer port>")
      .replace(/(took[" =:]+)[0-9.]+(?:\xc2\xb5|[nm])?s/gi, "$1<time>")
      .replace(/("raftIndex"|"raftAppliedIndex"):\d+/g, "$1:<index>")
      .replace(/"(dbSize|dbSizeInUse|hash)":\d+/g, '"$1":<number>')
      .replace(/remaining\(\d+s\)/g, "remaining(<time>)")
      .replace(/("ttl":|"TTL" : )5[0-9][0-9]/g, "$1<time>");
  }
}

/** What an older release prints, in the words of the release that we follow. */
function asOfToday(result: Finished): Finished {
  const { status } = result;
  let { stdout, stderr } = result;
  stdout = stdout
    .replace(/^"Revision" : 0\n/gm, "")
    .replace(/"Events":\[\]/g, '"Events":null')
    .replace(/("Created":(?:true|false))\}/g, '$1,"CancelReason":""}')
    .replace(
      /"Response(Put|Range|Txn)":/g,
      (_all, kind: string) => `"response_${kind.toLowerCase()}":`,
    )
    .replace(/"ResponseDeleteRange":/g, '"response_delete_range":')
    .replace(
      /^Finished defragmenting etcd member\[(.*)\]$/gm,
      "Finished defragmenting etcd member[$1]. took 1ms",
    );
  // Healthy lines once were on standard error, parser errors were said twice.
  const healthy = stderr.match(/^.* is healthy: .*\n/gm) ?? [];
  stdout += healthy.join("");
  // A terminal is not there to switch the echo off; theirs complains.
  stderr = stderr
    .replace(/^.* is healthy: .*\n/gm, "")
    .replace(/^stty: .*\n/gm, "")
    .replace("Error: Error reading", "Error: error reading");
  return { status, stdout, stderr };
}

function hexOf(decimal: string | undefined): string | undefined {
  return decimal === undefined ? undefined : BigInt(decimal).toString(16).padStart(16, "0");
}

function encodeVarint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}
