import type { CommandSpec, FlagSpec } from "../shared/command.ts";

const section = "Cluster maintenance commands";

const peerUrls = (usage: string): FlagSpec => ({
  name: "peer-urls",
  kind: "string",
  initial: "",
  usage,
});
const cluster: FlagSpec = {
  name: "cluster",
  kind: "bool",
  initial: "false",
  usage: "use all endpoints from the cluster member list",
};

export const clusterCommands: readonly CommandSpec[] = [
  {
    name: "alarm",
    parameters: "<subcommand>",
    short: "Alarm related commands. Use `etcdctl alarm --help` to see subcommands",
    section,
    commands: [
      {
        name: "disarm",
        short: "Disarms all alarms",
        load: () => import("./commands/alarm.ts").then((it) => it.disarm),
      },
      {
        name: "list",
        short: "Lists all alarms",
        load: () => import("./commands/alarm.ts").then((it) => it.list),
      },
    ],
  },
  {
    name: "defrag",
    short: "Defragments the storage of the etcd members with given endpoints",
    section,
    flags: [cluster],
    load: () => import("./commands/defrag.ts"),
  },
  {
    name: "endpoint",
    parameters: "<subcommand>",
    short: "Endpoint related commands. Use `etcdctl endpoint --help` to see subcommands",
    section,
    persistentFlags: [cluster],
    commands: [
      {
        name: "health",
        short: "Checks the healthiness of endpoints specified in `--endpoints` flag",
        load: () => import("./commands/endpoint-health.ts"),
      },
      {
        name: "status",
        short: "Prints out the status of endpoints specified in `--endpoints` flag",
        long: `Prints the status of each endpoint, one line each in the simple format. The columns are:
endpoint, ID, version, storage version, db size, db size in use, percentage not in use, quota,
is leader, is learner, raft term, raft index, raft applied index, errors, downgrade target version,
downgrade enabled.`,
        load: () => import("./commands/endpoint-status.ts"),
      },
      {
        name: "hashkv",
        short: "Prints the KV history hash for each endpoint in --endpoints",
        flags: [
          {
            name: "rev",
            kind: "int",
            initial: "0",
            usage: "last revision to hash (all revisions by default)",
          },
        ],
        load: () => import("./commands/endpoint-hash-kv.ts"),
      },
    ],
  },
  {
    name: "move-leader",
    parameters: "<transferee-member-id>",
    short: "Transfers leadership to another etcd cluster member.",
    section,
    load: () => import("./commands/move-leader.ts"),
  },
  {
    name: "member",
    parameters: "<subcommand>",
    short: "Membership related commands. Use `etcdctl member --help` to see subcommands",
    section,
    commands: [
      {
        name: "add",
        parameters: "<memberName> [options]",
        short: "Adds a member into the cluster",
        flags: [
          {
            name: "learner",
            kind: "bool",
            initial: "false",
            usage: "add the new member as a learner, which does not vote",
          },
          peerUrls("comma separated peer URLs of the new member"),
        ],
        load: () => import("./commands/member.ts").then((it) => it.add),
      },
      {
        name: "remove",
        parameters: "<memberID>",
        short: "Removes a member from the cluster",
        load: () => import("./commands/member.ts").then((it) => it.remove),
      },
      {
        name: "update",
        parameters: "<memberID> [options]",
        short: "Updates a member in the cluster",
        flags: [peerUrls("comma separated peer URLs that the member has from now on")],
        load: () => import("./commands/member.ts").then((it) => it.update),
      },
      {
        name: "list",
        short: "Lists all members in the cluster",
        long: `Lists the members of the cluster, one line each in the simple format. The columns are:
ID, status, name, peer addresses, client addresses, is learner.`,
        flags: [
          {
            name: "consistency",
            kind: "string",
            initial: "l",
            usage: "Linearizable(l) or Serializable(s)",
            values: ["l", "s"],
          },
        ],
        load: () => import("./commands/member.ts").then((it) => it.list),
      },
      {
        name: "promote",
        parameters: "<memberID>",
        short: "Promotes a non-voting member in the cluster",
        load: () => import("./commands/member.ts").then((it) => it.promote),
      },
    ],
  },
  {
    name: "snapshot",
    parameters: "<subcommand>",
    short: "Manages etcd node snapshots",
    section,
    example: snapshotExamples(),
    commands: [
      {
        name: "save",
        parameters: "<filename>",
        short: "Stores an etcd node backend snapshot to a given file",
        example: snapshotExamples(),
        load: () => import("./commands/snapshot-save.ts"),
      },
    ],
  },
  {
    name: "downgrade",
    parameters: "<subcommand>",
    short: "Downgrade related commands. Use `etcdctl downgrade --help` to see subcommands",
    section,
    commands: [
      {
        name: "validate",
        parameters: "<TARGET_VERSION>",
        short: "Validate downgrade capability before starting downgrade",
        load: () => import("./commands/downgrade.ts").then((it) => it.validate),
      },
      {
        name: "enable",
        parameters: "<TARGET_VERSION>",
        short: "Start a downgrade action to cluster",
        load: () => import("./commands/downgrade.ts").then((it) => it.enable),
      },
      {
        name: "cancel",
        short: "Cancel the ongoing downgrade action to cluster",
        load: () => import("./commands/downgrade.ts").then((it) => it.cancel),
      },
    ],
  },
];

function snapshotExamples(): string {
  return `  # Save a snapshot of the member at the default address
  etcdctl snapshot save backup.db

  # Save it from another member
  etcdctl --endpoints=10.1.0.2:2379 snapshot save backup.db

  # Over TLS
  etcdctl --endpoints=https://10.1.0.2:2379 --cacert=ca.crt --cert=client.crt --key=client.key snapshot save backup.db

  # As a user, where authentication is enabled
  etcdctl --user=root:secret snapshot save backup.db

  # Give up after a minute
  etcdctl --command-timeout=1m snapshot save backup.db

  # Look at what was saved
  etcdutl snapshot status backup.db -w table`;
}
