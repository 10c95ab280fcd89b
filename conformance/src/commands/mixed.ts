// `mixed`: clusters of ours and a stock release.

import { parseArgs } from "node:util";
import { type MixedScenario, mixed, mixedScenarios } from "../cluster/mixed.ts";
import { strictLimits } from "../cluster/mixed-checks.ts";
import { type Command, CommandError, numberOf, programsOf, say, stockOf } from "./command.ts";

export const mixedCommand: Command = {
  name: "mixed",
  help: `  mixed              clusters of ours and stock: ours follows, leads, gets and sends snapshots, migration
    --stock FOLDER   default: each of PATH and $ETCD_TS_STOCK_DIRS
    --scenario S     ${mixedScenarios.join(", ")}; several with commas; default: all
    --rate N         writes a second; default 500
    --operations N   random operations through all members; default 2000
    --left FOLDER    a folder with etcd and etcdctl to put in the place of ours
    --seed N         default 1
`,
  run: async (args) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        stock: { type: "string" },
        scenario: { type: "string", default: mixedScenarios.join(",") },
        rate: { type: "string", default: "500" },
        operations: { type: "string", default: "2000" },
        left: { type: "string", default: "ours" },
        seed: { type: "string", default: "1" },
      },
    });
    const scenarios = values.scenario.split(",").map(scenarioOf);
    for (const stock of stockOf(values.stock)) {
      for (const scenario of scenarios) {
        const startMs = performance.now();
        await mixed(scenario, {
          ...{
            ours: programsOf(values.left),
            stock,
            awayWriteCount: 7_000,
            limits: strictLimits,
            thorough: true,
          },
          seed: numberOf("seed", values.seed),
          writesPerSecond: numberOf("rate", values.rate),
          operationCount: numberOf("operations", values.operations),
          progress: (line) => say(`  ${scenario}: ${line}`),
        });
        const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
        say(`${scenario} with ${stock.name}: right, ${seconds} s, seed ${values.seed}`);
      }
    }
  },
};

function scenarioOf(word: string): MixedScenario {
  const scenario = mixedScenarios.find((it) => it === word);
  if (scenario === undefined) {
    throw new CommandError(`--scenario ${word}: one of ${mixedScenarios.join(", ")}`);
  }
  return scenario;
}
