// The long runs of the conformance suites; the test suite runs short ones.
//
//   npm run conformance -- differential --operations 100000 --seed 1
//   npm run conformance -- kill --rounds 200 --seed 1

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SeededRandom } from "@etcd-ts/base";
import { killRounds } from "./crash/kill-rounds.ts";
import { compareReleases } from "./differential/compare.ts";
import { noStockReason, ours, type Programs, stockFrom, stockReleases } from "./programs.ts";

const help = `usage: npm run conformance -- differential|kill [options]

  differential       the same random operations against ours and a stock etcd
    --operations N   default 100000
    --left FOLDER    a folder with etcd and etcdctl to put in the place of ours
  kill               kill -9 under load, restart, compare with what was acknowledged
    --rounds N       default 200
    --writers N      default 16
  --seed N           default 1
  --stock FOLDER     default: the newest of PATH and $ETCD_TS_STOCK_DIRS
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    operations: { type: "string", default: "100000" },
    rounds: { type: "string", default: "200" },
    writers: { type: "string", default: "16" },
    seed: { type: "string", default: "1" },
    stock: { type: "string" },
    left: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (positionals[0] === "differential") await differential();
else if (positionals[0] === "kill") await kill();
else {
  process.stdout.write(help);
  process.exitCode = values.help ? 0 : 1;
}

async function differential(): Promise<void> {
  const stock = values.stock === undefined ? stockReleases().at(-1) : stockFrom(values.stock);
  const left: Programs | undefined = values.left === undefined ? ours : stockFrom(values.left);
  if (stock === undefined || left === undefined) throw new Error(noStockReason);
  const counts = await compareReleases(left, stock, {
    seed: Number(values.seed),
    operationCount: Number(values.operations),
    progress: (done) => process.stderr.write(`\r${done} operations`),
  });
  process.stdout.write(
    `\n${left.name} and ${stock.name} agree: ${counts.operations} operations (${counts.refused} refused), ${counts.events} events, ${counts.hashes} hashes, seed ${values.seed}\n`,
  );
}

async function kill(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "etcd-kill-"));
  try {
    const acknowledged = await killRounds({
      programs: ours,
      dataDir,
      random: new SeededRandom(Number(values.seed)),
      rounds: Number(values.rounds),
      writerCount: Number(values.writers),
      loadMsMax: 400,
      progress: (round, count) => process.stderr.write(`\rround ${round}: ${count} writes`),
    });
    process.stdout.write(
      `\n${values.rounds} kills, ${acknowledged} acknowledged writes, none lost, seed ${values.seed}\n`,
    );
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}
