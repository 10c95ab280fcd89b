// The tree of etcdutl's commands. Only data: the code of a command is loaded when it runs.

import type { FlagSpec, Tool } from "../shared/command.ts";
import { completionCommands, helpCommand } from "../shared/common-commands.ts";

const restoreFlags: readonly FlagSpec[] = [
  { name: "data-dir", kind: "string", initial: "", usage: "Path to the data directory to make" },
  {
    name: "wal-dir",
    kind: "string",
    initial: "",
    usage: "Path to the WAL directory (in the data directory if none is given)",
  },
  {
    name: "name",
    kind: "string",
    initial: "default",
    usage: "Name of the member, for people and for --initial-cluster",
  },
  {
    name: "initial-cluster",
    kind: "string",
    initial: "default=http://localhost:2380",
    usage: "Members of the restored cluster",
  },
  {
    name: "initial-cluster-token",
    kind: "string",
    initial: "etcd-cluster",
    usage: "Token of the restored cluster, which sets its ids apart from those of others",
  },
  {
    name: "initial-advertise-peer-urls",
    kind: "string",
    initial: "http://localhost:2380",
    usage: "This member's peer URLs, as --initial-cluster has them",
  },
  {
    name: "skip-hash-check",
    kind: "bool",
    initial: "false",
    usage: "Do not check the digest of the file (needed for a copy of a member's own database)",
  },
  {
    name: "initial-memory-map-size",
    kind: "uint",
    initial: "10737418240",
    usage: "Has no effect: the memory map of the store grows by itself",
  },
  {
    name: "bump-revision",
    kind: "uint",
    initial: "0",
    usage: "Raise the newest revision by this much",
  },
  {
    name: "mark-compacted",
    kind: "bool",
    initial: "false",
    usage: "Count everything up to the newest revision as compacted; goes with --bump-revision",
  },
];

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
        name: "defrag",
        short: "Makes the store of a stopped member as small as what is in it",
        flags: [
          {
            name: "data-dir",
            kind: "string",
            initial: "",
            usage: "Data directory of a member that is not running",
            required: true,
          },
        ],
        load: () => import("./defrag.ts"),
      },
      {
        name: "hashkv",
        parameters: "<filename>",
        short: "Prints the hash of the key space in a file or data directory",
        flags: [
          {
            name: "rev",
            kind: "int",
            initial: "0",
            usage: "Hash up to this revision, 0 for the newest",
          },
        ],
        arity: (words) =>
          words.length === 1 ? undefined : `accepts 1 arg(s), received ${words.length}`,
        load: () => import("./hashkv.ts"),
      },
      {
        name: "migrate",
        short: "Marks the data of a stopped member as those of another version",
        flags: [
          {
            name: "data-dir",
            kind: "string",
            initial: "",
            usage: "Data directory of a member that is not running",
            required: true,
          },
          {
            name: "target-version",
            kind: "string",
            initial: "",
            usage: "Version to go to, such as 3.6; 3.5 at least",
            required: true,
          },
          {
            name: "force",
            kind: "bool",
            initial: "false",
            usage: "Set the version even where there is no way to it, at your own risk",
          },
        ],
        load: () => import("./migrate.ts"),
      },
      {
        name: "snapshot",
        parameters: "<subcommand>",
        short: "Manages etcd node snapshots",
        commands: [
          {
            name: "restore",
            parameters: "<filename>",
            short: "Makes the data directory of a new member out of a snapshot file",
            flags: restoreFlags,
            load: () => import("./snapshot-restore.ts"),
          },
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
