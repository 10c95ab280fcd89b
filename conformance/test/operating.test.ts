// Every procedure of docs/operating.md, run as it stands there.
//
//   ETCD_TS_OPERATING_PROGRAMS=FOLDER  the programs of that folder in the place of ours: a stock release, say
//   ETCD_TS_OPERATING_DOCUMENT=FILE    another document
//   ETCD_TS_OPERATING_ONLY=NAME,...    these procedures only
//   ETCD_TS_OPERATING_SHOW=1           what every command prints, to be written into the document

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Procedure, readProcedures } from "../src/operating/procedures.ts";
import { runProcedure } from "../src/operating/run-procedure.ts";
import { ours, stockReleases } from "../src/programs.ts";

const { env } = process;
const document =
  env["ETCD_TS_OPERATING_DOCUMENT"] ??
  fileURLToPath(new URL("../../../docs/operating.md", import.meta.url));
const programs = env["ETCD_TS_OPERATING_PROGRAMS"] ?? dirname(ours.etcd);
const only = env["ETCD_TS_OPERATING_ONLY"]?.split(",");
const shows = env["ETCD_TS_OPERATING_SHOW"] !== undefined;
/** Releases before 3.5 have no etcdutl. */
const stock = stockReleases()
  .filter((it) => existsSync(join(dirname(it.etcd), "etcdutl")))
  .at(-1);
const tools = ["bash", "curl", "openssl"];

const procedures = readProcedures(readFileSync(document, "utf8")).filter(
  (it) => only === undefined || only.includes(it.name),
);

test("the document has procedures to run", () => {
  assert.ok(procedures.length >= (only?.length ?? 5), `${procedures.length}`);
});

// They mostly wait for members to come up and to know each other: several at a time.
describe("docs/operating.md", { concurrency: 3 }, () => {
  for (const procedure of procedures) {
    test(`the procedure "${procedure.name}"`, { skip: reasonToSkip(procedure) }, async () => {
      await runProcedure(procedure, {
        programs,
        ...(stock === undefined ? {} : { stock: dirname(stock.etcd) }),
        reword: asOfToday,
        onStep: (step, command, lines, tookMs) => {
          if (!shows) return;
          const what = `${procedure.name}:${step.line} [${Math.round(tookMs)} ms] $ ${command}`;
          process.stderr.write(`${what}\n${lines.join("\n")}\n`);
        },
      });
    });
  }
});

function reasonToSkip(procedure: Procedure): string | false {
  for (const tool of tools) {
    try {
      execFileSync("sh", ["-c", `command -v ${tool}`]);
    } catch {
      return `no ${tool} on PATH`;
    }
  }
  return procedure.needsStock && stock === undefined
    ? `no stock etcd 3.5 (with its etcdctl and etcdutl) in $ETCD_TS_STOCK_DIRS or on PATH`
    : false;
}

/** What 3.5 prints in other words. */
function asOfToday(line: string, command: string): string {
  if (!command.includes("--learner")) return line;
  return line.replace(/^(Member \S+) added to/, "$1 added as learner to");
}
