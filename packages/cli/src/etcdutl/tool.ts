// The tree of etcdutl's commands. Only data: the code of a command is loaded when it runs.

import type { Tool } from "../shared/command.ts";
import { completionCommands, helpCommand } from "../shared/common-commands.ts";

export const etcdutl: Tool = {
  root: {
    name: "etcdutl",
    short: "An administrative command line tool for etcd3.",
    persistentFlags: [
      {
        name: "timeout",
        kind: "duration",
        initial: "10s",
        usage: "how long to wait for the lock of the database file, 0 for ever",
      },
      {
        name: "write-out",
        shorthand: "w",
        kind: "string",
        initial: "simple",
        usage: "set the output format (fields, json, protobuf, simple, table)",
        values: ["simple", "json", "fields", "protobuf", "table"],
      },
    ],
    commands: [
      ...completionCommands("etcdutl"),
      helpCommand("etcdutl"),
      {
        name: "snapshot",
        parameters: "<subcommand>",
        short: "Manages etcd node snapshots",
        commands: [
          {
            name: "status",
            parameters: "<filename>",
            short: "Gets backend snapshot status of a given file",
            load: () => import("./snapshot-status.ts"),
          },
        ],
      },
      {
        name: "version",
        short: "Prints the version of etcdutl",
        load: () => import("./version.ts"),
      },
    ],
  },
  sections: [],
  showRootFlags: true,
  showDescription: false,
  repeatErrors: true,
};
