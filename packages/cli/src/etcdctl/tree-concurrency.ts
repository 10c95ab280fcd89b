import type { CommandSpec } from "../shared/command.ts";

const section = "Concurrency commands";

export const concurrencyCommands: readonly CommandSpec[] = [
  {
    name: "lock",
    parameters: "<lockname> [exec-command arg1 arg2 ...]",
    short: "Acquires a named lock",
    long: `Acquires a named lock. Without a command it prints the key that stands for the lock and holds it
until it is interrupted; with one it runs the command while it holds the lock. Options of the
command stand behind '--':

$ etcdctl lock mylock -- sh -c 'echo locked'`,
    section,
    flags: [
      {
        name: "ttl",
        kind: "int",
        initial: "10",
        usage: "seconds that the lock outlives its holder",
      },
    ],
    load: () => import("./commands/lock.ts"),
  },
  {
    name: "elect",
    parameters: "<election-name> [proposal]",
    short: "Observes and participates in leader election",
    section,
    flags: [
      {
        name: "listen",
        shorthand: "l",
        kind: "bool",
        initial: "false",
        usage: "only observe the election",
      },
    ],
    load: () => import("./commands/elect.ts"),
  },
];
