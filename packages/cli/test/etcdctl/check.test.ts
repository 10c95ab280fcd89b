// `check perf` and `check datascale` when somebody interrupts them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MemberProcesses, oursEtcd } from "./member-processes.ts";
import { etcdctlProgram, ours } from "./ours.ts";
import { type Ended, Running } from "./running.ts";

const start = (...args: string[]): Running => new Running(etcdctlProgram, args);

/** The last line of standard error that is no log line. */
function lastWord({ stderr }: Ended): string {
  return stderr.replace(/^\{.*\}\n/gm, "").trimEnd();
}

describe("an interrupted check", () => {
  for (const [command, signal] of [
    ["perf", "SIGINT"],
    ["perf", "SIGTERM"],
    ["datascale", "SIGINT"],
    ["datascale", "SIGTERM"],
  ] as const) {
    test(`of ${command} that finds no server ends at once by ${signal}`, async () => {
      // Takes the connection, so that we know that the command waits, and never says a word.
      const sockets: Socket[] = [];
      const nobody = createServer((socket) => sockets.push(socket));
      await once(nobody.listen(0, "127.0.0.1"), "listening");
      const { port } = nobody.address() as { port: number };
      const check = start(`--endpoints=127.0.0.1:${port}`, "check", command);
      try {
        await once(nobody, "connection");
        // As `timeout` and terminals do it: to the process, and to its group.
        check.child.kill(signal);
        check.child.kill(signal);
        const ended = await check.ended;
        assert.equal(ended.status, 5, JSON.stringify(ended));
        assert.equal(lastWord(ended), "Error: interrupted before the check began");
        assert.equal(ended.stdout, "");
      } finally {
        check.child.kill("SIGKILL");
        for (const socket of sockets) socket.destroy();
        nobody.close();
      }
    });
  }

  test("deletes its keys and says neither PASS nor FAIL", async () => {
    const member = await MemberProcesses.start(oursEtcd, 1);
    const endpoints = `--endpoints=${member.endpoints[0]}`;
    const count = async (): Promise<number> => {
      const { stdout } = await ours([
        ...[endpoints, "get", "--prefix", "/etcdctl-check-"],
        ...["--count-only", "-w", "fields"],
      ]);
      return Number(/"Count" : (\d+)/.exec(stdout)?.[1]);
    };
    try {
      for (const command of ["perf", "datascale"]) {
        const check = start(endpoints, "check", command, "--load", "l");
        try {
          while ((await count()) === 0) await sleep(20);
          check.child.kill("SIGINT");
          const ended = await check.ended;
          assert.equal(ended.status, 5, JSON.stringify(ended));
          assert.match(lastWord(ended), /Error: the check was interrupted, its keys were deleted$/);
          assert.doesNotMatch(ended.stdout, /PASS|FAIL/);
          assert.doesNotMatch(ended.stderr, /MaxListeners/);
          assert.equal(await count(), 0);
        } finally {
          check.child.kill("SIGKILL");
        }
      }
    } finally {
      await member.stop();
    }
  });

  test("names the keys that it could not delete", async () => {
    const member = await MemberProcesses.start(oursEtcd, 1);
    const check = start(
      `--endpoints=${member.endpoints[0]}`,
      ...["check", "perf", "--load", "m", "--prefix", "/mine/"],
    );
    try {
      const read = [`--endpoints=${member.endpoints[0]}`, "get", "--prefix", "/mine/", "--limit=1"];
      while ((await ours(read)).stdout === "") await sleep(20);
      await member.members[0]?.kill();
      check.child.kill("SIGTERM");
      const ended = await check.ended;
      assert.equal(ended.status, 5, JSON.stringify(ended));
      assert.match(
        lastWord(ended),
        /Error: the check was interrupted, its keys could not be deleted \(context deadline exceeded\), use 'etcdctl del --prefix \/mine\/'$/,
      );
      assert.doesNotMatch(ended.stdout, /PASS/);
    } finally {
      check.child.kill("SIGKILL");
      await member.stop();
    }
  });
});
