// The long runs of the conformance suites; the test suite runs short ones. Each run has a file of its own
// with the options it takes; this one finds it by its name.
//
//   npm run conformance -- cluster --rounds 50 --fault leader --seed 1
//   npm run conformance -- mixed --stock /opt/etcd-3.5

import { clusterCommand } from "./commands/cluster.ts";
import { catchUpCommand, reconfigureCommand } from "./commands/cluster-changes.ts";
import { CommandError } from "./commands/command.ts";
import { mixedCommand } from "./commands/mixed.ts";
import { differentialCommand, killCommand } from "./commands/single.ts";

const commands = [
  differentialCommand,
  killCommand,
  clusterCommand,
  reconfigureCommand,
  catchUpCommand,
  mixedCommand,
];

const [name, ...args] = process.argv.slice(2);
const command = commands.find((it) => it.name === name);
// Members are children of this process and must not outlive it.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

if (command === undefined) {
  const lines = commands.map((it) => it.help).join("\n");
  process.stdout.write(
    `usage: npm run conformance -- ${commands.map((it) => it.name).join("|")} [options]\n\n${lines}`,
  );
  process.exitCode = name === "--help" ? 0 : 1;
} else if (args.includes("--help")) {
  process.stdout.write(command.help);
} else {
  try {
    await command.run(args);
  } catch (error) {
    const told = error instanceof CommandError ? error.message : (error as Error).stack;
    process.stderr.write(`\n${told}\n`);
    process.exit(1); // whatever was under way when it failed
  }
}
