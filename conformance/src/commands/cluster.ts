// `cluster`: rounds of faults against a cluster of processes under load.

import { parseArgs } from "node:util";
import { describeTimes } from "../cluster/distribution.ts";
import { type Fault, faultRounds, faults } from "../cluster/fault-rounds.ts";
import { type Command, CommandError, numberOf, programsOf, say } from "./command.ts";

export const clusterCommand: Command = {
  name: "cluster",
  help: `  cluster            faults under load: no acknowledged write lost, no stale read, HASHKV equal
    --fault F        ${faults.join(", ")}; several with commas; default: all
    --rounds N       of each fault; default 50
    --members M,M,M  each "ours" or a folder with a stock etcd; default ours,ours,ours
    --rate N         writes a second; default 1000
    --failover-ms N  a leader must be replaced within this; default 3000
    --stop-ms N      how long SIGSTOP lasts; default 10000
    --seed N         default 1
`,
  run: async (args) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        fault: { type: "string", default: faults.join(",") },
        rounds: { type: "string", default: "50" },
        members: { type: "string", default: "ours,ours,ours" },
        rate: { type: "string", default: "1000" },
        "failover-ms": { type: "string", default: "3000" },
        "stop-ms": { type: "string", default: "10000" },
        seed: { type: "string", default: "1" },
      },
    });
    const programs = values.members.split(",").map(programsOf);
    for (const fault of values.fault.split(",").map(faultOf)) {
      const startMs = performance.now();
      const report = await faultRounds({
        ...{ programs, fault, progress: say },
        rounds: numberOf("rounds", values.rounds),
        seed: numberOf("seed", values.seed),
        writesPerSecond: numberOf("rate", values.rate),
        failoverMsMax: numberOf("failover-ms", values["failover-ms"]),
        lateMsMax: 0,
        stopMs: numberOf("stop-ms", values["stop-ms"]),
        repeatOptions: values.members === "ours,ours,ours" ? "" : ` --members ${values.members}`,
      });
      say(
        `${fault}: ${report.rounds} rounds in ${((performance.now() - startMs) / 1000).toFixed(0)} s, ${report.acknowledged} acknowledged writes, none lost (${report.unknown} of unknown outcome), ${report.reads} linearizable reads, none stale; writes again after: ${describeTimes(report.recoveryMs)}; seed ${values.seed}`,
      );
    }
  },
};

function faultOf(word: string): Fault {
  const fault = faults.find((it) => it === word);
  if (fault === undefined) throw new CommandError(`--fault ${word}: one of ${faults.join(", ")}`);
  return fault;
}
