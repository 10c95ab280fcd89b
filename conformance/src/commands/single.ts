// Runs about a single member: random operations beside a stock etcd, and kills.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SeededRandom } from "@etcd-ts/base";
import { killRounds } from "../crash/kill-rounds.ts";
import { compareReleases } from "../differential/compare.ts";
import { ours, type Programs } from "../programs.ts";
import { type Command, numberOf, programsOf, say, stockOf } from "./command.ts";

export const differentialCommand: Command = {
  name: "differential",
  help: `  differential       the same random operations against ours and a stock etcd
    --operations N   default 100000
    --left FOLDER    a folder with etcd and etcdctl to put in the place of ours
    --stock FOLDER   default: the newest of PATH and $ETCD_TS_STOCK_DIRS
    --seed N         default 1
`,
  run: async (args) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        operations: { type: "string", default: "100000" },
        left: { type: "string", default: "ours" },
        stock: { type: "string" },
        seed: { type: "string", default: "1" },
      },
    });
    const stock = stockOf(values.stock).at(-1) as Programs;
    const left = programsOf(values.left);
    const counts = await compareReleases(left, stock, {
      seed: numberOf("seed", values.seed),
      operationCount: numberOf("operations", values.operations),
      progress: (done) => process.stderr.write(`\r${done} operations`),
    });
    say(
      `\n${left.name} and ${stock.name} agree: ${counts.operations} operations (${counts.refused} refused), ${counts.events} events, ${counts.hashes} hashes, seed ${values.seed}`,
    );
  },
};

export const killCommand: Command = {
  name: "kill",
  help: `  kill               one member: kill -9 under load, restart, compare with what was acknowledged
    --rounds N       default 200
    --writers N      default 16
    --seed N         default 1
`,
  run: async (args) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: "string", default: "200" },
        writers: { type: "string", default: "16" },
        seed: { type: "string", default: "1" },
      },
    });
    const dataDir = mkdtempSync(join(tmpdir(), "etcd-kill-"));
    try {
      const acknowledged = await killRounds({
        programs: ours,
        dataDir,
        random: new SeededRandom(numberOf("seed", values.seed)),
        rounds: numberOf("rounds", values.rounds),
        writerCount: numberOf("writers", values.writers),
        loadMsMax: 400,
        progress: (round, count) => process.stderr.write(`\rround ${round}: ${count} writes`),
      });
      say(
        `\n${values.rounds} kills, ${acknowledged} acknowledged writes, none lost, seed ${values.seed}`,
      );
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  },
};
