// `user add`, `get`, `list`, `delete`, `passwd`, `grant-role` and `revoke-role`.

import { UserAddOptions } from "@etcd-ts/api";
import type { CommandModule } from "../../shared/command.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { FlagSet } from "../../shared/flags.ts";
import type { Output } from "../../shared/output.ts";
import { askNewPassword, readPasswordWord } from "../password.ts";
import { withClient } from "../session.ts";

export const add: CommandModule = {
  async run(line, output) {
    const given = oneWord(line.words, "user add command requires user name as its argument");
    const { name, password, noPassword } = await newUser(given, line.flags, output);
    const options = new UserAddOptions();
    options.noPassword = noPassword;
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.userAdd({ name, password, options });
      printer.done({ kind: "user-add", user: name }, response);
      return ExitCode.success;
    });
  },
};

async function newUser(
  given: string,
  flags: FlagSet,
  output: Output,
): Promise<{ name: string; password: string; noPassword: boolean }> {
  if (flags.bool("no-password")) return { name: given, password: "", noPassword: true };
  const flagged = flags.string("new-user-password");
  if (flagged !== "") return { name: given, password: flagged, noPassword: false };
  const colon = given.indexOf(":");
  if (colon >= 0) {
    const name = given.slice(0, colon);
    if (name === "") throw Failure.badArguments("empty user name is not allowed");
    return { name, password: given.slice(colon + 1), noPassword: false };
  }
  const password = await readNewPassword(given, flags, output);
  return { name: given, password, noPassword: false };
}

function readNewPassword(user: string, flags: FlagSet, output: Output): Promise<string> {
  return flags.bool("interactive") ? askNewPassword(user, output) : readPasswordWord();
}

export const get: CommandModule = {
  async run(line, output) {
    const name = oneWord(line.words, "user get command requires user name as its argument");
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.userGet({ name });
      if (!line.flags.bool("detail")) {
        printer.userGet(name, response);
        return ExitCode.success;
      }
      output.out(`User: ${name}\n`);
      for (const role of response.roles) {
        output.out("\n");
        printer.roleGet(role, await client.auth.roleGet({ role }));
      }
      return ExitCode.success;
    });
  },
};

export const list: CommandModule = {
  async run(line, output) {
    if (line.words.length > 0)
      throw Failure.badArguments("user list command requires no arguments");
    return withClient(line, output, async ({ client, printer }) => {
      printer.userList(await client.auth.userList());
      return ExitCode.success;
    });
  },
};

export const remove: CommandModule = {
  async run(line, output) {
    const name = oneWord(line.words, "user delete command requires user name as its argument");
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.userDelete({ name });
      printer.done({ kind: "user-delete", user: name }, response);
      return ExitCode.success;
    });
  },
};

export const changePassword: CommandModule = {
  async run(line, output) {
    const name = oneWord(line.words, "user passwd command requires user name as its argument");
    const password = await readNewPassword(name, line.flags, output);
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.userChangePassword({ name, password });
      printer.done({ kind: "user-password" }, response);
      return ExitCode.success;
    });
  },
};

export const grantRole: CommandModule = {
  async run(line, output) {
    const usage = "user grant command requires user name and role name as its argument";
    const [user, role] = twoWords(line.words, usage);
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.userGrantRole({ user, role });
      printer.done({ kind: "user-grant", user, role }, response);
      return ExitCode.success;
    });
  },
};

export const revokeRole: CommandModule = {
  async run(line, output) {
    const usage = "user revoke-role requires user name and role name as its argument";
    const [user, role] = twoWords(line.words, usage);
    return withClient(line, output, async ({ client, printer }) => {
      const response = await client.auth.userRevokeRole({ name: user, role });
      printer.done({ kind: "user-revoke", user, role }, response);
      return ExitCode.success;
    });
  },
};

export function oneWord(words: readonly string[], usage: string): string {
  if (words.length !== 1) throw Failure.badArguments(usage);
  return words[0] as string;
}

function twoWords(words: readonly string[], usage: string): [string, string] {
  if (words.length !== 2) throw Failure.badArguments(usage);
  return [words[0] as string, words[1] as string];
}
