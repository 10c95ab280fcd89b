// `reconfigure` and `catch-up`: members that come, go, and come back.

import { parseArgs } from "node:util";
import { comeBack, largeSnapshot } from "../cluster/catch-up.ts";
import { describeTimes } from "../cluster/distribution.ts";
import { describeFailures, reconfigure } from "../cluster/reconfigure.ts";
import { type Command, CommandError, numberOf, programsOf, say } from "./command.ts";

export const reconfigureCommand: Command = {
  name: "reconfigure",
  help: `  reconfigure        one member, three, five, three, by learners and promotions, under load
    --rate N         writes a second; default 1000
    --members M      "ours" or a folder with a stock etcd; default ours
    --write-ms N     no write may take longer; default 2000
    --seed N         default 1
`,
  run: async (args) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rate: { type: "string", default: "1000" },
        members: { type: "string", default: "ours" },
        "write-ms": { type: "string", default: "2000" },
        seed: { type: "string", default: "1" },
      },
    });
    const report = await reconfigure({
      ...{ programs: programsOf(values.members), sizes: [3, 5, 3], progress: say },
      seed: numberOf("seed", values.seed),
      writesPerSecond: numberOf("rate", values.rate),
      writeMsMax: numberOf("write-ms", values["write-ms"]),
    });
    say(
      `reconfigure: ${(report.durationMs / 1000).toFixed(0)} s, ${report.acknowledged} writes ${describeTimes(report.latenciesMs)}; failed: ${report.failures.length}${describeFailures(report.failures)}`,
    );
  },
};

export const catchUpCommand: Command = {
  name: "catch-up",
  help: `  catch-up           a member that was away, or is fresh, gets what it lacks
    --by W           log, snapshot (both after --writes), large (after --bytes); default: all, in turn
    --writes N       default 100000
    --bytes N        size of the large store; default 1073741824
    --extra-bytes N  memory that the large snapshot may need on either side; default 268435456
    --members M      "ours" or a folder with a stock etcd; default ours
    --seed N         default 1
`,
  run: async (args) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        by: { type: "string", default: "log,snapshot,large" },
        writes: { type: "string", default: "100000" },
        bytes: { type: "string", default: String(2 ** 30) },
        "extra-bytes": { type: "string", default: String(2 ** 28) },
        members: { type: "string", default: "ours" },
        seed: { type: "string", default: "1" },
      },
    });
    const programs = programsOf(values.members);
    const seed = numberOf("seed", values.seed);
    for (const by of values.by.split(",")) {
      if (by === "large") {
        const report = await largeSnapshot({
          ...{ programs, joiner: programs, seed, writesPerSecond: 500, progress: say },
          bytes: numberOf("bytes", values.bytes),
          extraBytesMax: numberOf("extra-bytes", values["extra-bytes"]),
        });
        say(
          `large: done in ${(report.transferMs / 1000).toFixed(1)} s; writes meanwhile ${describeTimes(report.latenciesMs)}`,
        );
      } else if (by === "log" || by === "snapshot") {
        const writeCount = numberOf("writes", values.writes);
        const members = [programs, programs, programs];
        const report = await comeBack({ programs: members, seed, writeCount, by, progress: say });
        say(
          `${by}: away for ${report.writeCount} writes (${(report.writeMs / 1000).toFixed(1)} s), caught up in ${(report.catchUpMs / 1000).toFixed(1)} s`,
        );
      } else throw new CommandError(`--by ${by}: log, snapshot or large`);
    }
  },
};
