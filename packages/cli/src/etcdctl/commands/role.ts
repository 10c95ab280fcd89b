// `role add`, `get`, `list`, `delete`, `grant-permission` and `revoke-permission`.

import { Permission, PermissionType } from "@etcd-ts/api";
import { textToBytes } from "../../shared/byte-text.ts";
import type { CommandModule } from "../../shared/command.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { FlagSet } from "../../shared/flags.ts";
import { withClient } from "../session.ts";
import { openEnd, prefixEnd } from "../values.ts";
import { oneWord } from "./user.ts";

export const add: CommandModule = {
  async run(line, output) {
    const name = oneWord(line.words, "role add command requires role name as its argument");
    return withClient(line, output, async ({ client, printer }) => {
      printer.done({ kind: "role-add", role: name }, await client.auth.roleAdd({ name }));
      return ExitCode.success;
    });
  },
};

export const remove: CommandModule = {
  async run(line, output) {
    const role = oneWord(line.words, "role delete command requires role name as its argument");
    return withClient(line, output, async ({ client, printer }) => {
      printer.done({ kind: "role-delete", role }, await client.auth.roleDelete({ role }));
      return ExitCode.success;
    });
  },
};

export const get: CommandModule = {
  async run(line, output) {
    const role = oneWord(line.words, "role get command requires role name as its argument");
    return withClient(line, output, async ({ client, printer }) => {
      printer.roleGet(role, await client.auth.roleGet({ role }));
      return ExitCode.success;
    });
  },
};

export const list: CommandModule = {
  async run(line, output) {
    if (line.words.length > 0)
      throw Failure.badArguments("role list command requires no arguments");
    return withClient(line, output, async ({ client, printer }) => {
      printer.roleList(await client.auth.roleList());
      return ExitCode.success;
    });
  },
};

const permissionTypes: ReadonlyMap<string, number> = new Map([
  ["READ", PermissionType.READ],
  ["WRITE", PermissionType.WRITE],
  ["READWRITE", PermissionType.READWRITE],
]);

export const grantPermission: CommandModule = {
  async run(line, output) {
    const [name, type, key, end] = line.words;
    if (name === undefined || type === undefined || key === undefined) {
      throw Failure.badArguments(
        "role grant command requires role name, permission type, and key [endkey] as its argument",
      );
    }
    const permType = permissionTypes.get(type.toUpperCase());
    if (permType === undefined) throw Failure.badArguments(`invalid permission type: ${type}`);
    const perm = Object.assign(new Permission(), keyRange(line.flags, key, end), { permType });
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.roleGrantPermission({ name, perm });
      printer.done({ kind: "role-grant", role: name }, response);
      return ExitCode.success;
    });
  },
};

export const revokePermission: CommandModule = {
  async run(line, output) {
    const [role, typed, end] = line.words;
    if (role === undefined || typed === undefined) {
      throw Failure.badArguments(
        "role revoke-permission command requires role name and key [endkey] as its argument",
      );
    }
    const { key, rangeEnd } = keyRange(line.flags, typed, end);
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.roleRevokePermission({ role, key, rangeEnd });
      printer.done({ kind: "role-revoke", role, key: typed, rangeEnd }, response);
      return ExitCode.success;
    });
  },
};

/** The range of a permission. An empty key is the first of all; an empty end is none. */
function keyRange(
  flags: FlagSet,
  typed: string,
  end: string | undefined,
): { key: Uint8Array; rangeEnd: Uint8Array } {
  const prefix = flags.bool("prefix");
  const from = flags.bool("from-key");
  if (prefix && from) {
    throw Failure.badArguments("--from-key and --prefix flags are mutually exclusive");
  }
  const key = textToBytes(typed);
  if (key.length === 0) {
    const rangeEnd = prefix || from ? openEnd : textToBytes(end ?? "");
    return { key: openEnd, rangeEnd };
  }
  if (prefix || from) {
    if (end !== undefined) {
      const flag = prefix ? "--prefix" : "--from-key";
      throw Failure.badArguments(`unexpected endkey argument with ${flag} flag`);
    }
    return { key, rangeEnd: prefix ? prefixEnd(key) : openEnd };
  }
  return { key, rangeEnd: textToBytes(end ?? "") };
}
