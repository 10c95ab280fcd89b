// One command by a stock etcdctl and by ours against the same cluster, and what of it has to agree.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeMemberAddResponse } from "@etcd-ts/api";
import { etcdctl } from "../../src/etcdctl/tool.ts";
import { splitWords } from "../../src/shared/word-split.ts";
import type { MemberProcesses } from "./member-processes.ts";
import { etcdctlProgram, ours } from "./ours.ts";
import { type Finished, runProgram } from "./stock.ts";

export interface Step {
  /** Words as in `txn` input. `$0`, `$1`, `$2` stand for endpoints, `$all` for all of them, `$M0` for ids, `$P0` for peer addresses, `$F` for a folder, `$U` for a peer address that never was. */
  readonly line: string;
  readonly stdin?: string;
  /** Endpoints, when the line gives none; all of them otherwise. */
  readonly at?: string;
  /** Ours gets this line instead, since what the line does can be done only once. */
  readonly mine?: string;
  /** Done after stock's turn and before ours. */
  readonly between?: () => Promise<void>;
  /** Run by the stock client after each of the two, so that both find the cluster as it was. */
  readonly undo?: readonly string[];
  /** Rows come in the order of completion. */
  readonly sorted?: boolean;
  /** Needs a process of its own: its child inherits the output. */
  readonly asProgram?: boolean;
  /** Only the last line of standard error counts. */
  readonly lastErrorLine?: boolean;
}

export class Comparison {
  readonly #cluster: MemberProcesses;
  readonly #stock: string;
  readonly #problems: string[] = [];
  /** Names for identifiers and ports. */
  readonly #names: [string, string][] = [];
  readonly #ids: string[] = [];
  #lastUnusedPort = 0;
  #compared = 0;

  private constructor(cluster: MemberProcesses, stock: string) {
    this.#cluster = cluster;
    this.#stock = stock;
  }

  static async make(cluster: MemberProcesses, stock: string): Promise<Comparison> {
    const comparison = new Comparison(cluster, stock);
    const list = await comparison.stock("member list -w json");
    const clusterId = BigInt(/"cluster_id":(\d+)/.exec(list)?.[1] as string);
    comparison.#nameId(clusterId, "<cluster>");
    await comparison.learnMembers();
    return comparison;
  }

  /** Takes notice of members that came: what was added last is the highest. */
  async learnMembers(): Promise<void> {
    const rows = (await this.stock("member list")).trimEnd().split("\n");
    for (let i = this.#ids.length; i < this.#cluster.members.length; i++) {
      const { plan } = this.#cluster.members[i]!;
      const row = rows.find((it) => it.includes(`127.0.0.1:${plan.peerPort},`));
      const id = row?.split(",")[0] as string;
      this.#ids.push(id);
      // Of those that come later, one is for stock and one for us.
      const number = i < 3 ? i : "new";
      this.#nameId(BigInt(`0x${id}`), `<member ${number}>`);
      this.#names.push(
        [`127.0.0.1:${plan.clientPort}`, `<endpoint ${number}>`],
        [`127.0.0.1:${plan.peerPort}`, `<peer ${number}>`],
      );
    }
  }

  #nameId(id: bigint, name: string): void {
    const hex = id.toString(16);
    this.#names.push([hex, name], [id.toString(), name], [latin1Varint(id), name]);
  }

  /**
   * Runs a step by both clients; what differs is kept for `finish`. On a busy machine a member that is there may take
   * longer than a short limit of time allows, so such a step may be tried again.
   */
  async step(given: string | Step): Promise<void> {
    const step = typeof given === "string" ? { line: given } : given;
    this.#compared += 1;
    for (let attempts = step.line.includes("--command-timeout") ? 3 : 1; ; attempts--) {
      const [wanted, got] = await this.#both(step);
      if (wanted === got) return;
      if (attempts > 1) continue;
      this.#problems.push(`$ etcdctl ${step.line}\n--- stock\n${wanted}\n--- ours\n${got}\n`);
      return;
    }
  }

  async #both(step: Step): Promise<[string, string]> {
    const theirs = asOfToday(await this.#run(step, (words) => this.#theirs(words, step)), step);
    await step.between?.();
    const mine = await this.#run({ ...step, line: step.mine ?? step.line }, (words) =>
      step.asProgram
        ? runProgram(etcdctlProgram, words, step.stdin === undefined ? {} : { stdin: step.stdin })
        : ours(words, {}, etcdctl, step.stdin ?? ""),
    );
    return [this.#plain(theirs, step), this.#plain(asOf35(mine, step), step)];
  }

  /** Steps that do not disturb each other, several at the same time. */
  async all(steps: readonly (string | Step)[]): Promise<void> {
    const left = [...steps];
    const worker = async (): Promise<void> => {
      for (let step = left.shift(); step !== undefined; step = left.shift()) await this.step(step);
    };
    await Promise.all([worker(), worker(), worker(), worker(), worker(), worker()]);
  }

  finish(atLeast: number): void {
    assert.ok(this.#compared >= atLeast, `${this.#compared} steps`);
    assert.equal(this.#problems.length, 0, this.#problems.join("\n"));
  }

  /** The words of a line with what stands for endpoints and ids put in. */
  words(line: string): string[] {
    return splitWords(line).map((word) =>
      word
        // The same address again in the same second would give the id of a member that is gone.
        .replaceAll("$U", () => `127.0.0.1:${++this.#lastUnusedPort}`)
        .replaceAll("$F", this.#cluster.folder)
        .replaceAll("$all", this.#cluster.endpoints.join(","))
        .replaceAll(/\$M(\d)/g, (_all, i) => this.#ids[Number(i)] as string)
        .replaceAll(
          /\$P(\d)/g,
          (_all, i) => `127.0.0.1:${this.#cluster.members[Number(i)]?.plan.peerPort}`,
        )
        .replaceAll(/\$(\d)/g, (_all, i) => this.#cluster.endpoints[Number(i)] as string),
    );
  }

  async #run(step: Step, run: (words: string[]) => Promise<Finished>): Promise<Finished> {
    const given = step.line.includes("--endpoints");
    const at = given ? [] : [`--endpoints=${this.words(step.at ?? "$all").join("")}`];
    const finished = await run([...at, ...this.words(step.line)]);
    if (step.undo !== undefined) await this.#undo(step.undo);
    return finished;
  }

  async #undo(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      if (line !== "remove what was added") await this.stock(line);
      else await this.removeStrangers();
    }
  }

  /** Has the member with this number lead. */
  async leadBy(number: number, at = "$all"): Promise<void> {
    const rows = (await this.stock(`endpoint status --endpoints ${at}`)).trimEnd().split("\n");
    if (rows[number]?.split(", ")[4] === "true") return;
    await this.stock(`move-leader $M${number} --endpoints ${at}`);
  }

  /** Waits until the member with this number knows that there is no leader. */
  async leaderless(number: number): Promise<void> {
    const endMs = performance.now() + 60_000;
    while (/"leader":/.test(await this.stock(`endpoint status --endpoints $${number} -w json`))) {
      assert.ok(performance.now() < endMs);
      await sleep(50);
    }
  }

  /** The id of a member that is no process here. */
  async stranger(): Promise<string> {
    const rows = (await this.stock("member list")).trimEnd().split("\n");
    const id = rows.map((it) => it.split(",")[0] as string).find((it) => !this.#ids.includes(it));
    return id as string;
  }

  /** Waits until the member with this number has applied what the first one has. */
  async caughtUp(number: number): Promise<void> {
    const endMs = performance.now() + 60_000;
    for (;;) {
      const said = await this.stock(`endpoint status --endpoints $0,$${number} -w json`);
      const [first, other] = [...said.matchAll(/"raftAppliedIndex":(\d+)/g)].map((it) =>
        Number(it[1]),
      );
      if (other! >= first!) return;
      assert.ok(performance.now() < endMs, said);
      await sleep(50);
    }
  }

  /** Removes the members that are no processes here. */
  async removeStrangers(): Promise<void> {
    const rows = (await this.stock("member list")).trimEnd().split("\n");
    for (const id of rows.map((it) => it.split(",")[0] as string)) {
      if (!this.#ids.includes(id)) await this.stock(`member remove ${id}`);
    }
  }

  /** Has the stock client do something; its output. */
  async stock(line: string): Promise<string> {
    const given = line.includes("--endpoints");
    const at = given ? [] : [`--endpoints=${this.#cluster.endpoints.join(",")}`];
    const done = await runProgram(this.#stock, [...at, ...this.words(line)]);
    assert.equal(done.status, 0, `${line}: ${done.stderr}`);
    return done.stdout;
  }

  #theirs(words: readonly string[], step: Step): Promise<Finished> {
    return runProgram(this.#stock, words, step.stdin === undefined ? {} : { stdin: step.stdin });
  }

  /** The result without identifiers, ports, times and log lines. */
  #plain(result: Finished, step: Step): string {
    let stderr = result.stderr.replace(/^\{.*\}\n/gm, "");
    if (step.lastErrorLine) stderr = `${stderr.trimEnd().split("\n").at(-1)}\n`;
    let stdout = result.stdout;
    if (step.line.includes("-w protobuf") && stdout.startsWith("\n")) {
      if (step.line.startsWith("member add")) stdout = addedMember(stdout);
      else stdout = stdout.slice(2 + stdout.charCodeAt(1));
    }
    // Members come in the order of their ids, of which the new one's is new.
    stdout = stdout.replace(/(?<=ETCD_INITIAL_CLUSTER=").*(?=")/g, (it) =>
      it.split(",").sort(byUrl).join(),
    );
    stdout = stdout.replace(/(?<="members":\[\{).*(?=\}\])/, (it) =>
      it.split("},{").sort(byPeerUrl).join("},{"),
    );
    if (/(status|health).*-w table/.test(step.line)) {
      // Times and indexes make columns wider or narrower.
      stdout = stdout.replace(/[0-9.]+(?:\xc2\xb5|[nm])?s (?=\xe2)/g, "<time>");
      stdout = stdout.replace(/(\xe2\x94\x80)+/g, "$1").replace(/ +/g, " ");
    }
    if (/endpoint.*status/.test(step.line)) {
      stdout = stdout.replace(/((?:\xe2\x94\x82|,) )\d+(?=,| \xe2)/g, "$1<n>");
    }
    if (step.sorted) {
      stdout = sorted(stdout);
      stderr = sorted(stderr);
    }
    let text = `stdout:\n${stdout}stderr:\n${stderr}exit status ${result.status}`;
    // Sentences pad ids to sixteen columns.
    text = text.replace(/^(Member|Leadership) +/gm, "$1 ").replace(/ cluster +/g, " cluster ");
    const added = /Member +([0-9a-f]+) (?:added|promoted|removed)/.exec(stdout)?.[1];
    if (added !== undefined) text = text.replaceAll(added, "<new>");
    text = text.replace(
      /("ID":)("?)[0-9a-f]+("?)(,"peerURLs":\["http:\/\/127\.0\.0\.1:\d{1,3}")/g,
      "$1<new>$4",
    );
    for (const [id, name] of this.#names) text = text.replaceAll(id, name);
    text = text.replace(/127\.0\.0\.1:\d{1,3}\b/g, "<unused>");
    if (step.line.includes("json")) text = text.replace(/"(<(?:member \d|cluster)>)"/g, "$1");
    return (
      text
        // Whoever answers says so.
        .replace(/("member_id":|"MemberID" : )<member \d>(,"r|\n"Rev|\n"Raft)/g, "$1<m>$2")
        .replace(/(took[" =:]+)[0-9.]+(?:\xc2\xb5|[nm])?s/gi, "$1<time>")
        .replace(
          /("raft_term"|"raftTerm"|"RaftTerm"|"raftIndex"|"raftAppliedIndex"|"revision")( ?: ?)\d+/gi,
          "$1$2<n>",
        )
        .replace(
          /("dbSize"|"dbSizeInUse"|"DBSize"|"RaftIndex"|"RaftAppliedIndex"|"Revision")( ?: ?)\d+/g,
          "$1$2<n>",
        )
    );
  }
}

/** What 3.5 prints, in the words of the release that we follow. */
function asOfToday(result: Finished, { line }: Step): Finished {
  let { stdout } = result;
  stdout = stdout.replace(/^"Revision" : 0\n/gm, "");
  if (/^(endpoint )?defrag/.test(line)) {
    stdout = stdout.replace(/^(Finished defragmenting etcd member\[.*\])$/gm, "$1. took 1ms");
  }
  if (line.includes("--learner")) {
    stdout = stdout.replace(/^(Member.*) added to cluster/, "$1 added as learner to cluster");
  }
  if (line.includes("status") && stdout === "[]\n") stdout = "null\n";
  stdout = stdout.replaceAll('"clientURLS"', '"clientURLs"');
  const stderr = result.stderr
    .replace(/^(Error: snapshot save expects one argument)$/gm, "$1 <filename>")
    .replace(/^(Failed to defragment etcd member\[.*\]) \(/gm, "$1. took 1ms. (");
  return { ...result, stdout, stderr };
}

/** What ours prints, without what 3.5 does not know of. */
function asOf35(result: Finished, { line }: Step): Finished {
  let stdout = result.stdout
    .replace(/^"(StorageVersion|DBSizeInUse|DBSizeQuota|Downgrade\w+|HashRevision)" : .*\n/gm, "")
    .replaceAll(',"downgradeInfo":{}', "");
  if (line.includes("endpoint") && line.includes("status")) {
    stdout = withColumns(stdout, [0, 1, 2, 4, 8, 9, 10, 11, 12, 13]);
  }
  if (line.includes("endpoint") && line.includes("hashkv")) stdout = withColumns(stdout, [0, 1]);
  return { ...result, stdout };
}

const tableEdges = ["│││", "┌┬┐", "├┼┤", "└┴┘"].map((edges) =>
  [...edges].map((it) => Buffer.from(it).toString("latin1")),
) as [string, string, string][];

/** Rows of the simple format or of a table, with these of their columns. */
function withColumns(text: string, columns: readonly number[]): string {
  return text
    .split("\n")
    .map((row) => {
      for (const [start, between, end] of [...tableEdges, ["", ", ", ""]] as const) {
        if (!row.startsWith(start) || !row.endsWith(end) || !row.includes(between)) continue;
        if (row.startsWith("[") || row.startsWith('"')) continue;
        const inner = row.slice(start.length, row.length - end.length);
        const cells = inner.split(between);
        return start + columns.map((i) => cells[i]).join(between) + end;
      }
      return row;
    })
    .join("\n");
}

/** Lines, blocks of lines or members of a JSON list in an order of their own. */
function sorted(text: string): string {
  if (text.startsWith("[{")) return text.trim().slice(2, -2).split("},{").sort().join("},{");
  const between = text.includes("\n\n") ? "\n\n" : "\n";
  return text.split(between).sort().join(between);
}

/** By peer URL; that of a member which never was, one of the first ports, comes last. */
function byUrl(a: string, b: string): number {
  const [first = "", second = ""] = [a, b].map((it) =>
    /http:\/\/127\.0\.0\.1:\d+/.exec(it)?.[0].padStart(30, "z"),
  );
  return first < second ? -1 : 1;
}

function byPeerUrl(a: string, b: string): number {
  const urls = (it: string): string => /"peerURLs":.*/.exec(it)?.[0] ?? "";
  return byUrl(urls(a), urls(b));
}

/** What a `member add` answered, in protobuf: lengths of ids differ, so it is read. */
function addedMember(latin1: string): string {
  const { member, members } = decodeMemberAddResponse(Buffer.from(latin1, "latin1"));
  members.sort((a, b) => byUrl(a.peerUrls[0] as string, b.peerUrls[0] as string));
  return JSON.stringify({ member, members }, (name, value) =>
    name === "id" ? (value === member?.id ? "<new>" : String(value)) : value,
  );
}

function latin1Varint(value: bigint): string {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes).toString("latin1");
}
