// `alarm list` and `alarm disarm`.

import { AlarmAction, AlarmResponse } from "@etcd-ts/api";
import type { CommandModule } from "../../shared/command.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { withClient } from "../session.ts";

export const list: CommandModule = {
  async run(line, output) {
    noArguments(line.words, "alarm list command accepts no arguments");
    return withClient(line, output, async ({ client, printer, bounded }) => {
      printer.alarm(await client.maintenance.alarm({ action: AlarmAction.GET }, bounded));
      return ExitCode.success;
    });
  },
};

export const disarm: CommandModule = {
  async run(line, output) {
    noArguments(line.words, "alarm disarm command accepts no arguments");
    return withClient(line, output, async ({ client, printer, bounded }) => {
      const raised = await client.maintenance.alarm({ action: AlarmAction.GET }, bounded);
      // What is printed is no answer of a member, so it has no header.
      const disarmed = new AlarmResponse();
      for (const { memberId, alarm } of raised.alarms) {
        const request = { action: AlarmAction.DEACTIVATE, memberId, alarm };
        const response = await client.maintenance.alarm(request, bounded);
        disarmed.alarms.push(...response.alarms);
      }
      printer.alarm(disarmed);
      return ExitCode.success;
    });
  },
};

export function noArguments(words: readonly string[], message: string): void {
  if (words.length > 0) throw Failure.badArguments(message);
}
