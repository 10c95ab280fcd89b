// Records golden files from a stock etcd; by hand, not by the suite. (HASHKV comes from etcdctl, as not every
// release has it in the gateway.)
//
//     ETCD_BIN=/usr/bin/etcd ETCDCTL_BIN=/usr/bin/etcdctl \
//       node packages/machine/dist/test/support/record-golden.js SEED COUNT FILE
//       node packages/machine/dist/test/support/record-golden.js script FILE FILE

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CompactionRequest,
  HashKVRequest,
  HashKVResponse,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  type RangeRequest,
  RangeResponse,
  type RequestOp,
  ResponseHeader,
  type TxnRequest,
} from "@etcd-ts/api";
import { fromJson } from "@etcd-ts/api/json";
import { build, SeededRandom } from "@etcd-ts/base";
import {
  type GoldenLine,
  goldenOps,
  parseRequest,
  requestJson,
  responseJson,
} from "./golden-format.ts";
import { RandomRequests } from "./random-requests.ts";

interface HashKvJson {
  readonly header: { readonly revision: number };
  readonly hash: number;
  readonly compact_revision?: number;
}

/** Go's sort keeps the order of equal items up to this many. */
const stableSortMax = 12;

class Recorder {
  readonly lines: GoldenLine[] = [];
  readonly #base: string;
  readonly #random: SeededRandom;
  readonly #requests: RandomRequests;
  #revision = 1;

  constructor(base: string, seed: number) {
    this.#base = base;
    this.#random = new SeededRandom(seed);
    this.#requests = new RandomRequests(this.#random);
  }

  async record(count: number): Promise<void> {
    while (this.lines.length < count) await this.#ask(...this.#next());
  }

  /** Asks what is asked in lines that were written by hand. */
  async recordScript(lines: readonly GoldenLine[]): Promise<void> {
    for (const line of lines) await this.#ask(line.op, parseRequest(line));
  }

  async #ask(name: string, request: object): Promise<void> {
    const body = requestJson(name, request);
    if (name === "hashKv") {
      this.#hashKv(request as HashKVRequest, body);
      return;
    }
    const answer = await fetch(this.#base + goldenOps[name]!.path, { method: "POST", body });
    const text = await answer.text();
    if (!answer.ok) {
      const { message } = JSON.parse(text) as { message: string };
      this.lines.push({ op: name, request: body, error: message });
      return;
    }
    const response = fromJson(goldenOps[name]!.responseType, text);
    const { header } = response as { header?: { revision: number } };
    this.#revision = header?.revision ?? this.#revision;
    if (response instanceof RangeResponse && response.count > stableSortMax) {
      if ((request as RangeRequest).sortTarget !== 0) return;
    }
    const json = responseJson(name, request, response);
    this.lines.push({ op: name, request: body, response: json });
  }

  #hashKv(request: HashKVRequest, body: string): void {
    const revision = ["--rev", String(request.revision)];
    const options = ["--endpoints", this.#base, "-w", "json"];
    let text: string;
    try {
      text = execFileSync(
        process.env["ETCDCTL_BIN"] ?? "etcdctl",
        [...options, "endpoint", "hashkv", ...revision],
        { encoding: "utf8", stdio: "pipe" },
      );
    } catch (cause) {
      const { stderr } = cause as { stderr: string };
      const error = /\((etcdserver: [^)]*)\)/.exec(stderr)?.[1];
      if (error === undefined) throw cause;
      this.lines.push({ op: "hashKv", request: body, error });
      return;
    }
    const [{ HashKV }] = JSON.parse(text) as [{ HashKV: HashKvJson }];
    const response = build(HashKVResponse, {
      header: build(ResponseHeader, { revision: HashKV.header.revision }),
      hash: HashKV.hash,
      compactRevision: HashKV.compact_revision ?? 0,
    });
    const json = responseJson("hashKv", request, response);
    this.lines.push({ op: "hashKv", request: body, response: json });
  }

  #next(): [string, object] {
    const random = this.#random;
    const requests = this.#requests;
    const kind = random.below(100);
    const some = (): bigint => BigInt(random.below(this.#revision + 2));
    if (kind < 25) return ["put", requests.put()];
    if (kind < 35) return ["delete", requests.delete()];
    if (kind < 55) return ["range", requests.range(this.#revision)];
    if (kind < 78) return ["txn", withoutSorting(requests.txn(this.#revision))];
    if (kind < 82) {
      return ["compact", build(CompactionRequest, { revision: some(), physical: true })];
    }
    if (kind < 86) {
      const id = random.pick(requests.leases);
      return ["grant", build(LeaseGrantRequest, { id, ttl: 100_000n })];
    }
    if (kind < 90)
      return ["revoke", build(LeaseRevokeRequest, { id: random.pick(requests.leases) })];
    return ["hashKv", build(HashKVRequest, { revision: random.chance(1, 2) ? 0n : some() })];
  }
}

function withoutSorting(txn: TxnRequest): TxnRequest {
  const strip = (op: RequestOp): void => {
    if (op.requestRange !== undefined) op.requestRange.sortTarget = 0;
    if (op.requestTxn !== undefined) withoutSorting(op.requestTxn);
  };
  txn.success.forEach(strip);
  txn.failure.forEach(strip);
  return txn;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function started(binary: string, folder: string): Promise<[ChildProcess, string]> {
  const client = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(
    binary,
    [
      ["--data-dir", folder],
      ["--unsafe-no-fsync"],
      ["--listen-client-urls", client],
      ["--advertise-client-urls", client],
      ["--listen-peer-urls", peer],
      ["--initial-advertise-peer-urls", peer],
      ["--initial-cluster", `default=${peer}`],
    ].flat(),
    { stdio: "ignore" },
  );
  for (;;) {
    try {
      if ((await fetch(`${client}/health`)).ok) return [child, client];
    } catch {
      // Not listening yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const [seed, count, file] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "golden-"));
const [child, base] = await started(process.env["ETCD_BIN"] ?? "etcd", folder);
try {
  const recorder = new Recorder(base, Number(seed));
  if (seed === "script") {
    const asked = readFileSync(count!, "utf8").trimEnd().split("\n");
    await recorder.recordScript(asked.map((line) => JSON.parse(line) as GoldenLine));
  } else {
    await recorder.record(Number(count));
  }
  const text = recorder.lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  writeFileSync(file!, text);
} finally {
  child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
