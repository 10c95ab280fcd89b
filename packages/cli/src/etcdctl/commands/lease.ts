// `lease grant`, `revoke`, `timetolive` and `list`.

import type { CommandModule } from "../../shared/command.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { NumberError, parseInt64 } from "../../shared/go-number.ts";
import { callFailure } from "../failures.ts";
import { withClient } from "../session.ts";

export const grant: CommandModule = {
  async run(line, output) {
    const [word, ...more] = line.words;
    if (word === undefined || more.length > 0) {
      throw Failure.badArguments("lease grant command needs TTL argument");
    }
    const ttl = parseNumber(word, 10, (message) => `bad TTL (${message})`);
    return withClient(line, output, async ({ client, printer, bounded }) => {
      try {
        printer.leaseGrant(await client.lease.grant({ ttl }, bounded));
      } catch (error) {
        throw callFailure(error, ExitCode.error, (it) => `failed to grant lease (${it})`);
      }
      return ExitCode.success;
    });
  },
};

export const revoke: CommandModule = {
  async run(line, output) {
    const id = leaseArgument(line.words, "lease revoke command needs 1 argument");
    return withClient(line, output, async ({ client, printer, bounded }) => {
      try {
        printer.leaseRevoke(id, await client.lease.revoke({ id }, bounded));
      } catch (error) {
        throw callFailure(error, ExitCode.error, (it) => `failed to revoke lease (${it})`);
      }
      return ExitCode.success;
    });
  },
};

export const timeToLive: CommandModule = {
  async run(line, output) {
    const usage = "lease timetolive command needs lease ID as argument";
    const id = leaseArgument(line.words, usage);
    const keys = line.flags.bool("keys");
    return withClient(line, output, async ({ client, printer }) => {
      try {
        printer.leaseTimeToLive(await client.lease.timeToLive({ id, keys }), keys);
      } catch (error) {
        throw callFailure(error, ExitCode.badConnection);
      }
      return ExitCode.success;
    });
  },
};

export const list: CommandModule = {
  async run(line, output) {
    return withClient(line, output, async ({ client, printer }) => {
      try {
        printer.leaseList(await client.lease.leases());
      } catch (error) {
        throw callFailure(error, ExitCode.badConnection);
      }
      return ExitCode.success;
    });
  },
};

/** The one word of a command, a lease ID in hex. */
export function leaseArgument(words: readonly string[], usage: string): bigint {
  const [word, ...more] = words;
  if (word === undefined || more.length > 0) throw Failure.badArguments(usage);
  return parseNumber(word, 16, (message) => `bad lease ID arg (${message}), expecting ID in Hex`);
}

function parseNumber(word: string, base: 10 | 16, describe: (message: string) => string): bigint {
  try {
    return parseInt64(word, base);
  } catch (error) {
    if (error instanceof NumberError) throw Failure.badArguments(describe(error.message));
    throw error;
  }
}
