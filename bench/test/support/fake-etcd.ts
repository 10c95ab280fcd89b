// A program with the looks of an etcd server, for tests of how servers are started and ended: a script in a folder of its own that notes its process id
// and does what it is told.

import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Contender } from "../../src/contenders.ts";

export type Behaviour =
  | "serves"
  /** Ends with status 3 after a line in its log. */
  | "fails"
  /** The member called m2 fails, the others serve. */
  | "m2 fails";

const script = (folder: string, behaviour: Behaviour): string => `#!${process.execPath}
if (process.argv.includes("--version")) {
  console.log("etcd Version: 3.5.99\\nGo Version: go1.99");
  process.exit(0);
}
require("node:fs").writeFileSync(${JSON.stringify(join(folder, "pids"))} + "/" + process.pid, process.argv.slice(2).join(" "));
const name = process.argv[process.argv.indexOf("--name") + 1];
if (${JSON.stringify(behaviour)} === "fails" || ${JSON.stringify(behaviour)} === name + " fails") {
  console.error("a disk as if it were full");
  process.exit(3);
}
console.error("ready to serve client requests");
setInterval(() => {}, 1000);
`;

export class FakeEtcd {
  readonly folder: string = mkdtempSync(join(tmpdir(), "etcd-bench-test-"));
  readonly contender: Contender;

  constructor(behaviour: Behaviour, side: Contender["side"] = "stock") {
    const etcd = join(this.folder, "etcd");
    // CommonJS, whatever the folders above say.
    writeFileSync(join(this.folder, "package.json"), '{"type":"commonjs"}');
    writeFileSync(etcd, script(this.folder, behaviour));
    chmodSync(etcd, 0o755);
    mkdirSync(join(this.folder, "pids"));
    this.contender = { side, name: `fake ${side}`, version: "3.5.99", etcd, etcdctl: etcd };
  }

  /** Of all that were ever started, with the arguments of each. */
  started(): { pid: number; args: string }[] {
    return readdirSync(join(this.folder, "pids")).map((pid) => ({
      pid: Number(pid),
      args: readFileSync(join(this.folder, "pids", pid), "utf8"),
    }));
  }

  running(): number[] {
    return this.started()
      .map((it) => it.pid)
      .filter(isRunning);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
