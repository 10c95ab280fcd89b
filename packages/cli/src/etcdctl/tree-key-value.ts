import type { CommandSpec, FlagSpec } from "../shared/command.ts";

const section = "Key-value commands";

const prevKv = (usage: string): FlagSpec => ({
  name: "prev-kv",
  kind: "bool",
  initial: "false",
  usage,
});
const flag = (name: string, usage: string): FlagSpec => ({
  name,
  kind: "bool",
  initial: "false",
  usage,
});
const revision = (name: string, usage: string): FlagSpec => ({
  name,
  kind: "int",
  initial: "0",
  usage,
});

/** Flags of `put`, which lines of a `txn` take too. */
export const putFlags: readonly FlagSpec[] = [
  flag("ignore-lease", "keep the lease that the key has"),
  flag("ignore-value", "keep the value that the key has"),
  {
    name: "lease",
    kind: "string",
    initial: "0",
    usage: "lease ID (in hexadecimal) to attach to the key",
  },
  prevKv("return the key-value pair that was overwritten"),
];

/** Flags of `get`, which lines of a `txn` take too. */
export const getFlags: readonly FlagSpec[] = [
  {
    name: "consistency",
    kind: "string",
    initial: "l",
    usage: "Linearizable(l) or Serializable(s)",
    values: ["l", "s"],
  },
  flag("count-only", 'Get only the count; needs the "fields" output format'),
  flag("from-key", "Get keys that are greater than or equal to the given key, by bytes"),
  flag("keys-only", "Get only the keys"),
  { name: "limit", kind: "int", initial: "0", usage: "Maximum number of results" },
  revision("max-create-rev", "Skip keys created after this revision"),
  revision("max-mod-rev", "Skip keys modified after this revision"),
  revision("min-create-rev", "Skip keys created before this revision"),
  revision("min-mod-rev", "Skip keys modified before this revision"),
  {
    name: "order",
    kind: "string",
    initial: "",
    usage: "Order of results; ASCEND or DESCEND (ASCEND by default)",
    values: ["ASCEND", "DESCEND"],
  },
  flag("prefix", "Get keys with matching prefix"),
  flag("print-value-only", 'Write only the values, in the "simple" output format'),
  revision("rev", "Read the keys as of this revision"),
  {
    name: "sort-by",
    kind: "string",
    initial: "",
    usage: "Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION",
    values: ["CREATE", "KEY", "MODIFY", "VALUE", "VERSION"],
  },
  flag("stream", "Read with the RangeStream call, chunk by chunk"),
];

/** Flags of `del`, which lines of a `txn` take too. */
export const delFlags: readonly FlagSpec[] = [
  flag("from-key", "delete keys that are greater than or equal to the given key, by bytes"),
  flag("prefix", "delete keys with matching prefix"),
  prevKv("return the deleted key-value pairs"),
  flag("range", "delete the range of two arguments without warning and delay"),
];

/** Flags of `watch`, which lines of the interactive mode take too. */
export const watchFlags: readonly FlagSpec[] = [
  flag("prefix", "Watch all keys with this prefix"),
  prevKv("get the key-value pair as it was before the event"),
  flag("progress-notify", "ask the server for periodic notices of progress"),
  revision("rev", "Revision to start watching"),
];

export const keyValueCommands: readonly CommandSpec[] = [
  {
    name: "get",
    parameters: "[options] <key> [range_end]",
    short: "Gets the key or a range of keys",
    section,
    flags: getFlags,
    load: () => import("./commands/get.ts"),
  },
  {
    name: "put",
    parameters: "[options] <key> <value> (<value> can also be given from stdin)",
    short: "Puts the given key into the store",
    long: `Puts the given key into the store.

Without <value> (and without --ignore-value) all of the standard input is the value:

$ cat file | etcdctl put <key>

A <key> or <value> that begins with '-' would be read as a flag; '--' ends the flags:

$ etcdctl put <key> -- <value>
$ etcdctl put -- <key> <value>`,
    section,
    flags: putFlags,
    load: () => import("./commands/put.ts"),
  },
  {
    name: "del",
    parameters: "[options] <key> [range_end]",
    short: "Removes the specified key or range of keys [key, range_end)",
    section,
    flags: delFlags,
    load: () => import("./commands/del.ts"),
  },
  {
    name: "txn",
    parameters: "[options]",
    short: "Txn processes all the requests in one transaction",
    section,
    flags: [
      {
        name: "interactive",
        shorthand: "i",
        kind: "bool",
        initial: "false",
        usage: "Print a prompt before each part of the input",
      },
    ],
    load: () => import("./commands/txn.ts"),
  },
  {
    name: "compaction",
    parameters: "[options] <revision>",
    short: "Compacts the event history in etcd",
    section,
    flags: [flag("physical", "wait until the old revisions are physically removed")],
    load: () => import("./commands/compaction.ts"),
  },
  {
    name: "watch",
    parameters: "[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
    short: "Watches events stream on keys or prefixes",
    section,
    flags: [
      {
        name: "interactive",
        shorthand: "i",
        kind: "bool",
        initial: "false",
        usage: "Read watch requests from stdin, one a line",
      },
      ...watchFlags,
    ],
    load: () => import("./commands/watch.ts"),
  },
  {
    name: "lease",
    parameters: "<subcommand>",
    short: "Lease related commands. Use `etcdctl lease --help` to see subcommands",
    section,
    commands: [
      {
        name: "grant",
        parameters: "<ttl>",
        short: "Creates leases",
        load: () => import("./commands/lease.ts").then((it) => it.grant),
      },
      {
        name: "revoke",
        parameters: "<leaseID>",
        short: "Revokes leases",
        load: () => import("./commands/lease.ts").then((it) => it.revoke),
      },
      {
        name: "timetolive",
        parameters: "<leaseID> [options]",
        short: "Get lease information",
        flags: [flag("keys", "Get the keys attached to this lease")],
        load: () => import("./commands/lease.ts").then((it) => it.timeToLive),
      },
      {
        name: "list",
        short: "List all active leases",
        load: () => import("./commands/lease.ts").then((it) => it.list),
      },
      {
        name: "keep-alive",
        parameters: "[options] <leaseID>",
        short: "Keeps leases alive (renew)",
        flags: [flag("once", "Renew the lease once and exit")],
        load: () => import("./commands/lease-keep-alive.ts"),
      },
    ],
  },
];
