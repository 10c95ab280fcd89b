// Help screens and usage blocks, laid out as etcd's tools do.

import type { CommandSpec, FlagSpec, Tool } from "./command.ts";
import { helpFlag } from "./command-line.ts";
import { shownDefault } from "./flags.ts";

/** Names of commands are padded to this many columns at least. */
const nameColumnsMin = 11;

/** The help screen of the command at the end of `path`. */
export function helpScreen(tool: Tool, path: readonly CommandSpec[]): string {
  const command = path.at(-1) as CommandSpec;
  const description = tool.showDescription
    ? `${(command.long ?? command.short).trimEnd()}\n\n`
    : "";
  return description + usageBlock(tool, path);
}

/** The screen without its description, as it follows an error. */
export function usageBlock(tool: Tool, path: readonly CommandSpec[]): string {
  const command = path.at(-1) as CommandSpec;
  const commandPath = path.map((it) => it.name).join(" ");
  const children = (command.commands ?? []).filter((it) => !it.hidden);
  let text = "Usage:";
  if (command.load !== undefined) text += `\n  ${commandPath}${usageLine(command)}`;
  if (children.length > 0) text += `\n  ${commandPath} [command]`;
  if (command.example !== undefined) text += `\n\nExamples:\n${command.example}`;
  if (children.length > 0) text += commandList(path.length === 1 ? tool.sections : [], children);

  const shown = path.length === 1 && !tool.showRootFlags;
  const own = [
    ...(command.flags ?? []),
    ...(shown ? [] : (command.persistentFlags ?? [])),
    ...(shown ? [] : [helpFlag(command)]),
  ];
  text += flagSection("Flags:", own);
  const inherited = path
    .slice(tool.showRootFlags ? 0 : 1, -1)
    .flatMap((it) => it.persistentFlags ?? []);
  text += flagSection("Global Flags:", inherited);
  if (children.length > 0) {
    text += `\n\nUse "${commandPath} [command] --help" for more information about a command.`;
  }
  return tool.closing === undefined ? `${text}\n` : `${text}\n${tool.closing}\n`;
}

function usageLine(command: CommandSpec): string {
  return `${command.parameters === undefined ? "" : ` ${command.parameters}`} [flags]`;
}

function commandList(sections: readonly string[], children: readonly CommandSpec[]): string {
  const columns = Math.max(nameColumnsMin, ...children.map((it) => it.name.length));
  const list = (commands: readonly CommandSpec[]) =>
    [...commands]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((it) => `\n  ${it.name.padEnd(columns)} ${it.short}`)
      .join("");
  if (sections.length === 0) return `\n\nAvailable Commands:${list(children)}`;
  return sections
    .map((title) => `\n\n${title}${list(children.filter((it) => it.section === title))}`)
    .join("");
}

function flagSection(title: string, flags: readonly FlagSpec[]): string {
  const shown = flags.filter((it) => !it.hidden);
  return shown.length === 0 ? "" : `\n\n${title}\n${flagTable(shown)}`;
}

/** One line per flag, sorted by name, descriptions in one column. */
export function flagTable(flags: readonly FlagSpec[]): string {
  const rows = [...flags]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => {
      const short = flag.shorthand === undefined ? "    " : `-${flag.shorthand}, `;
      const type = flag.kind === "bool" ? "" : ` ${flag.kind}`;
      const initial = shownDefault(flag);
      const usage = initial === undefined ? flag.usage : `${flag.usage} (default ${initial})`;
      return { left: `  ${short}--${flag.name}${type}`, usage };
    });
  const columns = Math.max(...rows.map((it) => it.left.length)) + 3;
  return rows.map((it) => it.left.padEnd(columns) + it.usage).join("\n");
}
