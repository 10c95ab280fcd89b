// Commands that every tool has: `help`, `completion` and the hidden one that completion scripts ask.

import type { CommandSpec } from "./command.ts";
import { quote } from "./go-quote.ts";

export const shells: readonly string[] = ["bash", "zsh", "fish", "powershell"];

export function helpCommand(tool: string): CommandSpec {
  return {
    name: "help",
    parameters: "[command]",
    short: "Help about any command",
    long: `Shows the help of any command: ${tool} help [path to command]`,
    load: () => import("./help-command.ts"),
  };
}

export function completionCommands(tool: string, section?: string): CommandSpec[] {
  const completion: CommandSpec = {
    name: "completion",
    parameters: `[${shells.join("|")}]`,
    short: "Generate completion script",
    long: `Prints a script that completes the words of ${tool} command lines in a shell.

  bash        source <(${tool} completion bash)
  zsh         ${tool} completion zsh > "\${fpath[1]}/_${tool}"
  fish        ${tool} completion fish | source
  powershell  ${tool} completion powershell | Out-String | Invoke-Expression

The first, third and fourth line work for the present session; put them into the start-up file of the
shell to have completion always.`,
    arity: (words) => {
      if (words.length !== 1) return `accepts 1 arg(s), received ${words.length}`;
      if (shells.includes(words[0] as string)) return undefined;
      return `invalid argument ${quote(words[0] as string)} for ${quote(`${tool} completion`)}`;
    },
    load: () => import("./completion-command.ts"),
  };
  return [
    section === undefined ? completion : { ...completion, section },
    {
      name: "__complete",
      parameters: "[command-line]",
      short: "Candidates for the last word of a command line",
      hidden: true,
      rawWords: true,
      load: () => import("./complete-command.ts"),
    },
  ];
}
