// The commands of the tutorial that this project starts from, one after the other, and what they print.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { etcdctlProgram, ours } from "./ours.ts";
import { type StockServer, skipWithoutServer, startStockServer } from "./stock.ts";

const skip = skipWithoutServer;
let server: StockServer;

describe("the tutorial", () => {
  before(async () => {
    if (skip === false) server = await startStockServer();
  });
  after(async () => {
    if (skip === false) await server.stop();
  });

  /** Standard output of a command that has to succeed without a word on standard error. */
  async function etcdctl(line: string): Promise<string> {
    const words = line.split(" ");
    const { stdout, stderr, status } = await ours([`--endpoints=${server.endpoint}`, ...words]);
    assert.equal(stderr, "", line);
    assert.equal(status, 0, line);
    return stdout;
  }

  const poke = (): Promise<string> => etcdctl("put foo poke");

  test("keys and values", { skip }, async () => {
    assert.equal(await etcdctl("put foo bar"), "OK\n");
    assert.equal(await etcdctl("get foo"), "foo\nbar\n");
    assert.equal(await etcdctl("get foo --print-value-only"), "bar\n");
    assert.equal(await etcdctl("get foo1"), "");
    for (const n of [1, 2, 3]) assert.equal(await etcdctl(`put foo${n} bar${n}`), "OK\n");
    assert.equal(await etcdctl("get foo1 foo3"), "foo1\nbar1\nfoo2\nbar2\n");
    assert.equal(await etcdctl("get foo1 foo3 --print-value-only"), "bar1\nbar2\n");
    assert.equal(await etcdctl("get --prefix foo --print-value-only"), "bar\nbar1\nbar2\nbar3\n");
    assert.equal(await etcdctl("get --prefix --limit=2 foo --print-value-only"), "bar\nbar1\n");
    assert.equal(await etcdctl("del foo"), "1\n");
  });

  test("a range of two keys is deleted after a warning", { skip }, async () => {
    const words = [`--endpoints=${server.endpoint}`, "del", "foo1", "foo3"];
    const { stdout, stderr, status } = await ours(words);
    assert.equal(stdout, "2\n");
    assert.equal(status, 0);
    assert.equal(
      stderr,
      'Warning: Keys between "foo1" and "foo3" will be deleted. Please interrupt the command within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n',
    );
    assert.equal(await etcdctl("del --prefix foo"), "1\n");
  });

  test("watches", { skip, timeout: 120_000 }, async () => {
    const one = new Running(["watch", "foo"]);
    const many = new Running(["watch", "-i"]);
    many.type("watch foo\nwatch zoo\n");
    // Nobody says when a watch stands: keep changing a key that both see until they do.
    await Promise.all([one.seen("PUT\nfoo\n", poke), many.seen("PUT\nfoo\n", poke)]);
    one.forget();
    many.forget();
    await etcdctl("put foo bar1");
    await etcdctl("put zoo test");
    await Promise.all([
      one.seen("PUT\nfoo\nbar1\n"),
      many.seen("PUT\nfoo\nbar1\n"),
      many.seen("PUT\nzoo\ntest\n"),
    ]);
    assert.equal((await one.end("SIGTERM")).signal, "SIGTERM");
    many.type(undefined);
    const ended = await many.end();
    assert.equal(ended.status, 3);
    assert.equal(ended.stderr, "Error: error reading watch request line: EOF\n");
  });

  test("leases", { skip, timeout: 120_000 }, async () => {
    const granted = await etcdctl("lease grant 60");
    const id = /^lease ([0-9a-f]{16}) granted with TTL\(60s\)\n$/.exec(granted)?.[1];
    assert.ok(id !== undefined, granted);
    assert.equal(await etcdctl(`put --lease=${id} foo bar`), "OK\n");
    assert.equal(
      await etcdctl(`lease keep-alive --once ${id}`),
      `lease ${id} keepalived with TTL(60)\n`,
    );
    assert.match(
      await etcdctl(`lease timetolive --keys ${id}`),
      new RegExp(
        `^lease ${id} granted with TTL\\(60s\\), remaining\\((60|[1-5]?[0-9])s\\), attached keys\\(\\[foo\\]\\)\\n$`,
      ),
    );
    const keeping = new Running(["lease", "keep-alive", id]);
    await keeping.seen(`lease ${id} keepalived with TTL(60)\n`);
    await keeping.end("SIGTERM");
    assert.equal(await etcdctl(`lease revoke ${id}`), `lease ${id} revoked\n`);
    assert.equal(await etcdctl("get foo"), "");
  });
});

/** A command that runs on. */
class Running {
  readonly #child;
  #stdout = "";
  #stderr = "";
  #waiting: (() => void)[] = [];
  readonly #closed: Promise<{ status: number | null; signal: NodeJS.Signals | null }>;

  constructor(words: readonly string[]) {
    const child = spawn(etcdctlProgram, [`--endpoints=${server.endpoint}`, ...words], {
      env: { PATH: process.env["PATH"] ?? "" },
    });
    child.stdout.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString();
      for (const wake of this.#waiting.splice(0)) wake();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    this.#child = child;
    this.#closed = new Promise((resolve) => {
      child.once("close", (status, signal) => resolve({ status, signal }));
    });
  }

  /** Types text, or ends the input. */
  type(text: string | undefined): void {
    if (text === undefined) this.#child.stdin.end();
    else this.#child.stdin.write(text);
  }

  /** Resolves when the text was printed; calls `nudge` again and again meanwhile. */
  async seen(text: string, nudge?: () => Promise<unknown>): Promise<void> {
    while (!this.#stdout.includes(text)) {
      if (nudge !== undefined) await nudge();
      else {
        await new Promise<void>((resolve) => {
          this.#waiting.push(resolve);
        });
      }
    }
  }

  forget(): void {
    this.#stdout = "";
  }

  async end(signal?: NodeJS.Signals): Promise<{
    status: number | null;
    signal: NodeJS.Signals | null;
    stderr: string;
  }> {
    if (signal !== undefined) this.#child.kill(signal);
    return { ...(await this.#closed), stderr: this.#stderr };
  }
}
