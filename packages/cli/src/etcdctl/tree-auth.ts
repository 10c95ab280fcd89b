import type { CommandSpec, FlagSpec } from "../shared/command.ts";

const section = "Authentication commands";

const flag = (name: string, usage: string, initial = "false"): FlagSpec => ({
  name,
  kind: "bool",
  initial,
  usage,
});

export const authCommands: readonly CommandSpec[] = [
  {
    name: "auth",
    parameters: "<enable or disable>",
    short: "Enable or disable authentication. Use `etcdctl auth --help` to see subcommands",
    section,
    commands: [
      {
        name: "enable",
        short: "Enables authentication",
        load: () => import("./commands/auth.ts").then((it) => it.enable),
      },
      {
        name: "disable",
        short: "Disables authentication",
        load: () => import("./commands/auth.ts").then((it) => it.disable),
      },
      {
        name: "status",
        short: "Returns authentication status",
        load: () => import("./commands/auth.ts").then((it) => it.status),
      },
    ],
  },
  {
    name: "user",
    parameters: "<subcommand>",
    short: "User related commands. Use `etcdctl user --help` to see subcommands",
    section,
    commands: [
      {
        name: "add",
        parameters: "<user name or user:password> [options]",
        short: "Adds a new user",
        flags: [
          flag("interactive", "ask for the password; if false, read it from stdin", "true"),
          {
            name: "new-user-password",
            kind: "string",
            initial: "",
            usage: "password of the new user",
          },
          flag("no-password", "create a user without password (known by certificate only)"),
        ],
        load: () => import("./commands/user.ts").then((it) => it.add),
      },
      {
        name: "get",
        parameters: "<user name> [options]",
        short: "Gets detailed information of a user",
        flags: [flag("detail", "Show the permissions of the roles granted to the user")],
        load: () => import("./commands/user.ts").then((it) => it.get),
      },
      {
        name: "list",
        short: "Lists all users",
        load: () => import("./commands/user.ts").then((it) => it.list),
      },
      {
        name: "delete",
        parameters: "<user name>",
        short: "Deletes a user",
        load: () => import("./commands/user.ts").then((it) => it.remove),
      },
      {
        name: "passwd",
        parameters: "<user name> [options]",
        short: "Changes password of user",
        flags: [flag("interactive", "ask for the password; if false, read it from stdin", "true")],
        load: () => import("./commands/user.ts").then((it) => it.changePassword),
      },
      {
        name: "grant-role",
        parameters: "<user name> <role name>",
        short: "Grants a role to a user",
        load: () => import("./commands/user.ts").then((it) => it.grantRole),
      },
      {
        name: "revoke-role",
        parameters: "<user name> <role name>",
        short: "Revokes a role from a user",
        load: () => import("./commands/user.ts").then((it) => it.revokeRole),
      },
    ],
  },
  {
    name: "role",
    parameters: "<subcommand>",
    short: "Role related commands. Use `etcdctl role --help` to see subcommands",
    section,
    commands: [
      {
        name: "add",
        parameters: "<role name>",
        short: "Adds a new role",
        load: () => import("./commands/role.ts").then((it) => it.add),
      },
      {
        name: "delete",
        parameters: "<role name>",
        short: "Deletes a role",
        load: () => import("./commands/role.ts").then((it) => it.remove),
      },
      {
        name: "get",
        parameters: "<role name>",
        short: "Gets detailed information of a role",
        load: () => import("./commands/role.ts").then((it) => it.get),
      },
      {
        name: "list",
        short: "Lists all roles",
        load: () => import("./commands/role.ts").then((it) => it.list),
      },
      {
        name: "grant-permission",
        parameters: "[options] <role name> <permission type> <key> [endkey]",
        short: "Grants a key to a role",
        flags: [
          flag(
            "from-key",
            "grant all keys that are greater than or equal to the given key, by bytes",
          ),
          flag("prefix", "grant all keys with this prefix"),
        ],
        load: () => import("./commands/role.ts").then((it) => it.grantPermission),
      },
      {
        name: "revoke-permission",
        parameters: "<role name> <key> [endkey]",
        short: "Revokes a key from a role",
        flags: [
          flag(
            "from-key",
            "revoke all keys that are greater than or equal to the given key, by bytes",
          ),
          flag("prefix", "revoke all keys with this prefix"),
        ],
        load: () => import("./commands/role.ts").then((it) => it.revokePermission),
      },
    ],
  },
];
