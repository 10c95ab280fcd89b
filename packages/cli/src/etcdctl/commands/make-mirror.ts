// `make-mirror`: copies the keys of a cluster to another one and follows its changes, a transaction there for
// every revision here.

import { type RequestOp, SortOrder, SortTarget } from "@etcd-ts/api";
import { Client, op } from "@etcd-ts/client";
import { textToBytes } from "../../shared/byte-text.ts";
import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { FlagSet } from "../../shared/flags.ts";
import type { Output } from "../../shared/output.ts";
import { credentialsOf, type Session, withClient } from "../session.ts";
import { readTlsFiles } from "../tls-files.ts";
import { openEnd, prefixEnd } from "../values.ts";

const pageKeys = 1000n;
const reportMs = 30_000;

export async function run(line: CommandLine, output: Output): Promise<number> {
  const { flags } = line;
  const [destination, ...more] = line.words;
  if (destination === undefined || more.length > 0) {
    throw Failure.badArguments("make-mirror takes one destination argument");
  }
  if (flags.string("dest-prefix") !== "" && flags.bool("no-dest-prefix")) {
    throw Failure.badArguments(
      "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one",
    );
  }
  return withClient(line, output, async (session) => {
    await using target = await openDestination(session, destination);
    const mirror = new Mirror(session, target);
    const report = setInterval(() => output.out(`${mirror.operationCount}\n`), reportMs);
    try {
      await mirror.run();
    } finally {
      clearInterval(report);
    }
    return ExitCode.success;
  });
}

async function openDestination(session: Session, destination: string): Promise<Client> {
  const { flags, host, log, output } = session;
  const tls = readTlsFiles({
    cert: flags.string("dest-cert"),
    key: flags.string("dest-key"),
    cacert: flags.string("dest-cacert"),
    insecureTransport: flags.bool("dest-insecure-transport"),
    insecureSkipVerify: false,
    serverName: "",
  });
  const credentials = await credentialsOf(
    flags.string("dest-user"),
    flags.string("dest-password"),
    "Destination Password: ",
    output,
  );
  const client = new Client({
    endpoints: [destination],
    host,
    log: log.named("etcd-client"),
    ...(tls === undefined ? {} : { tls }),
    ...(credentials === undefined ? {} : { credentials }),
  });
  await client.authenticate();
  return client;
}

class Mirror {
  /** Puts and deletions at the destination. */
  operationCount = 0;
  readonly #source: Client;
  readonly #target: Client;
  readonly #prefix: Buffer;
  readonly #targetPrefix: Buffer;
  readonly #startRevision: bigint;
  readonly #txnOpsMax: number;

  constructor({ client, flags }: Session, target: Client) {
    this.#source = client;
    this.#target = target;
    this.#prefix = Buffer.from(textToBytes(flags.string("prefix")));
    this.#targetPrefix = targetPrefix(flags);
    this.#startRevision = flags.int("rev");
    this.#txnOpsMax = Math.max(1, Number(flags.int("max-txn-ops")));
  }

  async run(): Promise<void> {
    const startRevision =
      this.#startRevision <= 1n ? BigInt(await this.#copyAll()) + 1n : this.#startRevision;
    const { key, rangeEnd } = this.#range();
    const watch = this.#source.watch({ key, end: rangeEnd, startRevision });
    for await (const response of watch.responses()) {
      let revision = 0;
      let operations: RequestOp[] = [];
      for (const { type, kv } of response.events) {
        if (kv === undefined) continue;
        // All of a revision together, as far as a transaction may be long; never two revisions in one.
        if (kv.modRevision !== revision || operations.length === this.#txnOpsMax) {
          await this.#commit(operations);
          operations = [];
          revision = kv.modRevision;
        }
        const target = this.#mapped(kv.key);
        operations.push(type === 0 ? op.put(target, kv.value) : op.delete({ key: target }));
      }
      await this.#commit(operations);
    }
  }

  /** Copies the keys that are there now, at one revision, which it gives. */
  async #copyAll(): Promise<number> {
    const { key, rangeEnd } = this.#range();
    let from = key;
    let revision = 0;
    for (;;) {
      const page = await this.#source.kv.range({
        key: from,
        rangeEnd,
        limit: pageKeys,
        revision: BigInt(revision),
        sortOrder: SortOrder.ASCEND,
        sortTarget: SortTarget.KEY,
      });
      if (revision === 0) revision = page.header?.revision ?? 0;
      for (const kv of page.kvs) {
        await this.#target.put(this.#mapped(kv.key), kv.value);
        this.operationCount += 1;
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return revision;
      from = Buffer.concat([last.key, Uint8Array.of(0)]);
    }
  }

  async #commit(operations: RequestOp[]): Promise<void> {
    if (operations.length === 0) return;
    await this.#target.txn({ success: operations });
    this.operationCount += operations.length;
  }

  #range(): { key: Uint8Array; rangeEnd: Uint8Array } {
    if (this.#prefix.length === 0) return { key: openEnd, rangeEnd: openEnd };
    return { key: this.#prefix, rangeEnd: prefixEnd(this.#prefix) };
  }

  #mapped(key: Uint8Array): Uint8Array {
    return Buffer.concat([this.#targetPrefix, key.subarray(this.#prefix.length)]);
  }
}

function targetPrefix(flags: FlagSet): Buffer {
  if (flags.bool("no-dest-prefix")) return Buffer.alloc(0);
  const given = flags.string("dest-prefix");
  return Buffer.from(textToBytes(given === "" ? flags.string("prefix") : given));
}
