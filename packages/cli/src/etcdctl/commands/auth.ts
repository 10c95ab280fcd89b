// `auth enable`, `disable` and `status`.

import { ApiError } from "@etcd-ts/api";
import type { CommandModule } from "../../shared/command.ts";
import { ExitCode } from "../../shared/exit.ts";
import { withClient } from "../session.ts";
import { noArguments } from "./alarm.ts";

export const enable: CommandModule = {
  async run(line, output) {
    noArguments(line.words, "auth enable command does not accept any arguments");
    return withClient(line, output, async ({ client, bounded }) => {
      try {
        await client.auth.enable(bounded);
      } catch (error) {
        if (!(error instanceof ApiError && error.code === "rootRoleNotExist")) throw error;
        // The role that a root user needs is given, then it is tried again.
        try {
          await client.auth.roleAdd({ name: "root" }, bounded);
        } catch (failure) {
          if (!(failure instanceof ApiError && failure.code === "roleAlreadyExist")) throw failure;
        }
        await client.auth.userGrantRole({ user: "root", role: "root" }, bounded);
        await client.auth.enable(bounded);
      }
      output.out("Authentication Enabled\n");
      return ExitCode.success;
    });
  },
};

export const disable: CommandModule = {
  async run(line, output) {
    noArguments(line.words, "auth disable command does not accept any arguments");
    return withClient(line, output, async ({ client, bounded }) => {
      await client.auth.disable(bounded);
      output.out("Authentication Disabled\n");
      return ExitCode.success;
    });
  },
};

export const status: CommandModule = {
  async run(line, output) {
    noArguments(line.words, "auth status command does not accept any arguments");
    return withClient(line, output, async ({ client, printer, bounded }) => {
      printer.authStatus(await client.auth.status(bounded));
      return ExitCode.success;
    });
  },
};
