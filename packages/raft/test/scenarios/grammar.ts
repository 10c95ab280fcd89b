// The grammar of scenario files:
//
//     # a comment
//     command arg key=value key=(value, value)
//     input line
//     ----
//     expected output, up to a blank line
//
// or, when the output itself holds blank lines, between two `----` lines and two more of them.
// `subtest name` and `subtest end` are lines of their own, without input or output; they only group.

export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

export interface Directive {
  readonly line: number;
  readonly text: string;
  readonly command: string;
  readonly args: readonly Argument[];
  /** Trimmed. */
  readonly input: string;
  readonly expected: string;
  /** Lines of the file that hold `expected`, separators included when they are doubled; end exclusive. */
  readonly outputLines: readonly [start: number, end: number];
}

/** A file or a command that does not follow the grammar; no output of a scenario. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
}

export function parseScenario(text: string): Directive[] {
  const lines = text.split(/\r?\n/);
  // A file ends with a newline, behind which there is no line.
  if (lines.at(-1) === "") lines.pop();
  const directives: Directive[] = [];
  let at = 0;
  while (at < lines.length) {
    let head = lines[at]!.trim();
    const line = at + 1;
    at += 1;
    if (head === "" || head.startsWith("#")) continue;
    while (head.endsWith("\\") && at < lines.length) {
      head = `${head.slice(0, -1).trim()} ${lines[at]!.trim()}`;
      at += 1;
    }
    const { command, args } = parseDirective(head, line);
    if (command === "subtest") continue;
    const input: string[] = [];
    while (at < lines.length && lines[at] !== "----") {
      input.push(lines[at]!);
      at += 1;
    }
    if (at === lines.length) throw new ScenarioError(`line ${line}: no ---- behind: ${head}`);
    at += 1;
    const output: string[] = [];
    const outputStart = at;
    if (lines[at] === "----") {
      at += 1;
      while (at < lines.length && !(lines[at] === "----" && lines[at + 1] === "----")) {
        output.push(lines[at]!);
        at += 1;
      }
      if (at === lines.length) throw new ScenarioError(`line ${line}: output has no end: ${head}`);
      at += 2;
    } else {
      while (at < lines.length && lines[at]!.trim() !== "") {
        output.push(lines[at]!);
        at += 1;
      }
    }
    directives.push({
      line,
      text: head,
      command,
      args,
      input: input.join("\n").trim(),
      expected: output.map((row) => `${row}\n`).join(""),
      outputLines: [outputStart, at],
    });
  }
  return directives;
}

function parseDirective(text: string, line: number): { command: string; args: Argument[] } {
  const command = /^[^ ]+/.exec(text)?.[0] ?? "";
  const args: Argument[] = [];
  let at = command.length;
  const bad = (): ScenarioError => new ScenarioError(`line ${line}: column ${at + 1}: ${text}`);
  while (true) {
    while (text[at] === " ") at += 1;
    if (at >= text.length) return { command, args };
    const keyStart = at;
    while (at < text.length && text[at] !== " " && text[at] !== "=") at += 1;
    const key = text.slice(keyStart, at);
    if (key === "") throw bad();
    if (text[at] !== "=") {
      args.push({ key, values: [] });
      continue;
    }
    at += 1;
    if (text[at] !== "(") {
      const start = at;
      while (at < text.length && text[at] !== " ") at += 1;
      args.push({ key, values: [text.slice(start, at)] });
      continue;
    }
    const values: string[] = [];
    let depth = 0;
    let start = at + 1;
    for (; ; at += 1) {
      const character = text[at];
      if (character === undefined) throw bad();
      if (character === "(") depth += 1;
      if (character === ")") depth -= 1;
      if (depth === 0 || (depth === 1 && character === ",")) {
        values.push(text.slice(start, at).trim());
        start = at + 1;
      }
      if (depth === 0) break;
    }
    at += 1;
    args.push({ key, values });
  }
}

// --- values ---------------------------------------------------------------------------------------

export function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new ScenarioError(`no number: ${text}`);
  return Number(text);
}

export function parseId(text: string): bigint {
  if (!/^\d+$/.test(text)) throw new ScenarioError(`no id: ${text}`);
  return BigInt(text);
}

export function parseBoolean(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new ScenarioError(`no boolean: ${text}`);
}

/** The arguments without values, as numbers. */
export function bareNumbers(directive: Directive): number[] {
  return directive.args
    .filter((arg) => arg.values.length === 0)
    .map((arg) => parseInteger(arg.key));
}

/** The argument at `position`, which must have no value. */
export function bareArgument(directive: Directive, position: number): string {
  const arg = directive.args[position];
  if (arg === undefined || arg.values.length > 0) {
    throw new ScenarioError(`argument ${position + 1} is missing: ${directive.text}`);
  }
  return arg.key;
}

/** The only value of an argument; undefined when there is no such argument. */
export function namedValue(directive: Directive, key: string): string | undefined {
  const values = directive.args.find((arg) => arg.key === key)?.values;
  if (values !== undefined && values.length !== 1) {
    throw new ScenarioError(`one value is wanted for ${key}: ${directive.text}`);
  }
  return values?.[0];
}
