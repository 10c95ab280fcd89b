// `downgrade validate`, `enable` and `cancel`.

import { DowngradeAction } from "@etcd-ts/api";
import type { CommandModule } from "../../shared/command.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { withClient } from "../session.ts";

export const validate: CommandModule = withTarget("validate", DowngradeAction.VALIDATE);
export const enable: CommandModule = withTarget("enable", DowngradeAction.ENABLE);

export const cancel: CommandModule = {
  async run(line, output) {
    return withClient(line, output, async ({ client, printer, bounded }) => {
      const request = { action: DowngradeAction.CANCEL };
      printer.downgrade("cancel", await client.maintenance.downgrade(request, bounded));
      return ExitCode.success;
    });
  },
};

function withTarget(name: "validate" | "enable", action: number): CommandModule {
  return {
    async run(line, output) {
      const [version, ...more] = line.words;
      if (version === undefined) throw Failure.badArguments("TARGET_VERSION not provided");
      if (more.length > 0) throw Failure.badArguments("too many arguments");
      if (version === "") throw Failure.badArguments("target version not provided");
      return withClient(line, output, async ({ client, printer, bounded }) => {
        const request = { action, version };
        printer.downgrade(name, await client.maintenance.downgrade(request, bounded));
        return ExitCode.success;
      });
    },
  };
}
