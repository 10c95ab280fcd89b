// Runs scenario files: finds out which kind of environment a file needs, runs its directives in one such
// environment, and compares to the letter.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ConfChangeScenario, confChangeCommands } from "./conf-change-scenarios.ts";
import { type Directive, parseScenario } from "./grammar.ts";
import { InteractionScenario, interactionCommands } from "./interaction.ts";
import { quorumCommands, runQuorumDirective } from "./quorum-scenarios.ts";

export interface ScenarioFailure {
  readonly file: string;
  readonly line: number;
  readonly directive: string;
  readonly expected: string;
  /** The output, or what was thrown. */
  readonly actual: string;
}

export interface ScenarioReport {
  readonly files: number;
  readonly directives: number;
  readonly failures: readonly ScenarioFailure[];
}

/**
 * The scenario files below `path`, which may be one itself, in order: those that end with `.txt`, and any
 * other text in which a line separates input from output. Hidden files and backups are left out.
 */
export function findScenarios(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  const found: string[] = [];
  const entries = readdirSync(path, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.name.startsWith(".") || entry.name.endsWith("~")) continue;
    if (entry.isDirectory()) found.push(...findScenarios(child));
    else if (entry.name.endsWith(".txt") || looksLikeScenario(child)) found.push(child);
  }
  return found;
}

function looksLikeScenario(file: string): boolean {
  return readFileSync(file, "utf8").includes("\n----\n");
}

export function runScenarios(files: readonly string[]): ScenarioReport {
  let directives = 0;
  const failures: ScenarioFailure[] = [];
  for (const file of files) {
    const report = runScenario(file, readFileSync(file, "utf8"));
    directives += report.directives;
    failures.push(...report.failures);
  }
  return { files: files.length, directives, failures };
}

export function runScenario(file: string, text: string): ScenarioReport {
  const failures: ScenarioFailure[] = [];
  let directives: Directive[];
  try {
    directives = parseScenario(text);
  } catch (error) {
    const actual = `thrown: ${thrownText(error)}\n`;
    failures.push({ file, line: 1, directive: "(the file)", expected: "", actual });
    return { files: 1, directives: 0, failures };
  }
  const run = environmentFor(directives);
  for (const directive of directives) {
    const { line, expected } = directive;
    let actual: string;
    let broken = false;
    try {
      actual = run(directive);
      if (actual !== "" && !actual.endsWith("\n")) actual += "\n";
    } catch (error) {
      actual = `thrown: ${thrownText(error)}\n`;
      broken = true;
    }
    if (broken || actual !== expected) {
      failures.push({ file, line, directive: directive.text, expected, actual });
    }
    // A broken invariant leaves an environment of which nothing can be said any more.
    if (broken) break;
  }
  return { files: 1, directives: directives.length, failures };
}

/** The file with what comes out in place of what was expected. */
export function rewritten(text: string): string {
  const directives = parseScenario(text);
  const run = environmentFor(directives);
  const lines = text.split("\n");
  const result: string[] = [];
  let at = 0;
  for (const directive of directives) {
    const [start, end] = directive.outputLines;
    const output = run(directive).replace(/\n$/, "").split("\n");
    const isDoubled = output.some((line) => line.trim() === "");
    result.push(...lines.slice(at, start));
    result.push(...(isDoubled ? ["----", ...output, "----", "----"] : output));
    at = end;
  }
  return [...result, ...lines.slice(at)].join("\n");
}

function environmentFor(directives: readonly Directive[]): (directive: Directive) => string {
  // The first command that only one kind knows decides.
  for (const { command } of directives) {
    if (quorumCommands.includes(command)) return runQuorumDirective;
    if (confChangeCommands.includes(command)) {
      const scenario = new ConfChangeScenario();
      return (directive) => scenario.run(directive);
    }
    if (interactionCommands.includes(command)) break;
  }
  const scenario = new InteractionScenario();
  return (directive) => scenario.run(directive);
}

function thrownText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

// --- reporting ------------------------------------------------------------------------------------

/** What was expected and what came, line by line. */
export function failureText(failure: ScenarioFailure): string {
  const rows = difference(failure.expected.split("\n"), failure.actual.split("\n"));
  return `${failure.file}:${failure.line}: ${failure.directive}\n${rows.join("\n")}\n`;
}

/** A shortest edit script (longest common subsequence), as `  same`, `- expected`, `+ actual`. */
function difference(expected: readonly string[], actual: readonly string[]): string[] {
  const width = actual.length + 1;
  const common = new Uint32Array((expected.length + 1) * width);
  for (let i = expected.length - 1; i >= 0; i--) {
    for (let j = actual.length - 1; j >= 0; j--) {
      common[i * width + j] =
        expected[i] === actual[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const rows: string[] = [];
  let i = 0;
  let j = 0;
  while (i < expected.length || j < actual.length) {
    if (i < expected.length && j < actual.length && expected[i] === actual[j]) {
      rows.push(`    ${expected[i]}`);
      i += 1;
      j += 1;
    } else if (
      j === actual.length ||
      (i < expected.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    ) {
      rows.push(`  - ${expected[i]}`);
      i += 1;
    } else {
      rows.push(`  + ${actual[j]}`);
      j += 1;
    }
  }
  return rows;
}
