import type { CommandSpec, FlagSpec } from "../shared/command.ts";
import { completionCommands, helpCommand } from "../shared/common-commands.ts";

const section = "Utility commands";

const text = (name: string, usage: string, initial = ""): FlagSpec => ({
  name,
  kind: "string",
  initial,
  usage,
});
const flag = (name: string, usage: string, initial = "false"): FlagSpec => ({
  name,
  kind: "bool",
  initial,
  usage,
});
const number = (name: string, usage: string, initial: string): FlagSpec => ({
  name,
  kind: "int",
  initial,
  usage,
});

const loads = ["s", "small", "m", "medium", "l", "large", "xl", "xLarge"];

const checkFlags = (prefix: string): readonly FlagSpec[] => [
  flag("auto-compact", "compact the store with its last revision after the check"),
  flag("auto-defrag", "defragment the storage after the check"),
  {
    name: "load",
    kind: "string",
    initial: "s",
    usage: "workload: s(small), m(medium), l(large), xl(xLarge)",
    values: loads,
  },
  text("prefix", "prefix of the keys that the check writes", prefix),
];

export const utilityCommands: readonly CommandSpec[] = [
  {
    name: "check",
    parameters: "<subcommand>",
    short:
      "commands for checking properties of the etcd cluster. Use `etcdctl check --help` to see subcommands",
    section,
    commands: [
      {
        name: "perf",
        parameters: "[options]",
        short: "Check the performance of the etcd cluster",
        flags: checkFlags("/etcdctl-check-perf/"),
        load: () => import("./commands/check.ts").then((it) => it.perf),
      },
      {
        name: "datascale",
        parameters: "[options]",
        short:
          "Check the memory usage of holding data for different workloads on a given server endpoint.",
        long: "Puts the keys of a workload and tells how much memory the server then has more. Of several endpoints\nthe first is asked.",
        flags: checkFlags("/etcdctl-check-datascale/"),
        load: () => import("./commands/check.ts").then((it) => it.dataScale),
      },
    ],
  },
  {
    name: "make-mirror",
    parameters: "[options] <destination>",
    short: "Makes a mirror at the destination etcd cluster",
    section,
    flags: [
      text("dest-cacert", "CA bundle that verifies the servers of the destination"),
      text("dest-cert", "TLS certificate file that identifies us to the destination"),
      flag("dest-insecure-transport", "disable transport security to the destination", "true"),
      text("dest-key", "TLS key file that identifies us to the destination"),
      text("dest-password", "password for the destination (then --dest-user is the name alone)"),
      text("dest-prefix", "prefix that replaces --prefix at the destination"),
      text(
        "dest-user",
        "username[:password] for the destination (prompt if password is not supplied)",
      ),
      number("max-txn-ops", "operations in one transaction at the destination", "128"),
      flag("no-dest-prefix", "mirror the keys without their prefix"),
      text("prefix", "mirror only keys with this prefix"),
      number(
        "rev",
        "mirror what happens from this revision on, without the keys that are there",
        "0",
      ),
    ],
    load: () => import("./commands/make-mirror.ts"),
  },
  ...completionCommands("etcdctl", section),
  { ...helpCommand("etcdctl"), section },
  {
    name: "options",
    short: "Show the global command-line flags",
    section,
    load: () => import("./commands/options.ts"),
  },
  {
    name: "version",
    short: "Prints the version of etcdctl",
    section,
    load: () => import("./commands/version.ts"),
  },
];
