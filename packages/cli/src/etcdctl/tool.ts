// The tree of etcdctl's commands. Only data: the code of a command is loaded when it runs.

import type { CommandSpec, Tool } from "../shared/command.ts";
import { globalFlags } from "./options.ts";
import { authCommands } from "./tree-auth.ts";
import { clusterCommands } from "./tree-cluster.ts";
import { concurrencyCommands } from "./tree-concurrency.ts";
import { keyValueCommands } from "./tree-key-value.ts";
import { utilityCommands } from "./tree-utility.ts";

const root: CommandSpec = {
  name: "etcdctl",
  short: "A simple command line client for etcd3.",
  persistentFlags: globalFlags,
  commands: [
    ...keyValueCommands,
    ...clusterCommands,
    ...concurrencyCommands,
    ...authCommands,
    ...utilityCommands,
  ],
};

export const etcdctl: Tool = {
  root,
  sections: [
    "Key-value commands",
    "Cluster maintenance commands",
    "Concurrency commands",
    "Authentication commands",
    "Utility commands",
  ],
  closing:
    'Use "etcdctl options" for a list of global command-line options (applies to all commands).',
  showRootFlags: false,
  showDescription: true,
  repeatErrors: false,
};
