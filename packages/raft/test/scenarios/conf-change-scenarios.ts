// Environment of scenarios about changes of the configuration alone.

import {
  type ChangeOutcome,
  changeSimple,
  enterJoint,
  leaveJoint,
  type Membership,
} from "../../src/conf-change.ts";
import { emptyConfiguration } from "../../src/configuration.ts";
import type { ConfChangeSingle } from "../../src/index.ts";
import { type Directive, namedValue, parseBoolean } from "./grammar.ts";
import { parseOperations } from "./operations.ts";

export const confChangeCommands: readonly string[] = ["simple", "enter-joint", "leave-joint"];

export class ConfChangeScenario {
  #membership: Membership = { configuration: emptyConfiguration, progress: new Map() };
  /** Grows with every command; shows in where a newcomer starts. */
  #lastIndex = 0;

  run(directive: Directive): string {
    const changes = parseOperations(directive.input);
    const result = typeof changes === "string" ? changes : this.#change(directive, changes);
    this.#lastIndex += 1;
    return result;
  }

  #change(directive: Directive, changes: readonly ConfChangeSingle[]): string {
    const newcomers = {
      lastIndex: this.#lastIndex,
      inflightMessagesMax: 10,
      inflightBytesMax: Number.POSITIVE_INFINITY,
    };
    let outcome: ChangeOutcome;
    switch (directive.command) {
      case "simple":
        outcome = changeSimple(this.#membership, changes, newcomers);
        break;
      case "enter-joint": {
        const autoLeave = parseBoolean(namedValue(directive, "autoleave") ?? "false");
        outcome = enterJoint(this.#membership, autoLeave, changes, newcomers);
        break;
      }
      case "leave-joint":
        if (changes.length > 0) return "this command takes no input\n";
        outcome = leaveJoint(this.#membership, newcomers);
        break;
      default:
        return "unknown command";
    }
    if (outcome.refusal !== undefined) return `${outcome.refusal}\n`;
    this.#membership = outcome.membership;
    const { configuration, progress } = this.#membership;
    let text = `${configuration}\n`;
    for (const id of [...progress.keys()].sort((a, b) => (a < b ? -1 : 1))) {
      text += `${id}: ${progress.get(id)}\n`;
    }
    return text;
  }
}
