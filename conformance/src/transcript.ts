// A transcript: commands and what they must print, replayed against any server with any etcdctl.
//
//   # comment                           between steps
//   etcdctl put foo bar                 a command; its stdout must be the lines under ----
//   ----
//   OK
//
//   eventually etcdctl get foo          repeated until it prints this, at most 60 s
//   start w etcdctl watch foo           a program that goes on, called `w`
//   type w watch foo                    a line for its stdin
//   read w                              the next lines of its stdout are those under ----
//   stop w                              ends it by SIGINT
//
// `{name}` in an expected line stands for a word of digits and lower-case letters: the first time it is
// remembered, afterwards it must be the same; in a command it is replaced by what was remembered.
// `{two words}` stands for these words in any order, `{#}` for any number and `{}`, alone on its line, for an empty line.

import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { withoutEtcdVariables } from "./server-process.ts";

const eventuallyMs = 60_000;
const readMs = 60_000;
const commandMs = 60_000;
/** So that no pause of the machine is an error of a command; and the API for old releases. */
const patient = {
  ETCDCTL_API: "3",
  ETCDCTL_DIAL_TIMEOUT: "60s",
  ETCDCTL_COMMAND_TIMEOUT: "60s",
};

export interface Step {
  readonly line: number;
  readonly command: string;
  readonly expected: readonly string[];
}

export function parseTranscript(text: string): Step[] {
  const steps: Step[] = [];
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const command = (lines[i] as string).trim();
    if (command === "" || command.startsWith("#")) continue;
    const line = i + 1;
    const expected: string[] = [];
    if (lines[i + 1] === "----") {
      for (i += 2; i < lines.length && lines[i] !== ""; i++) expected.push(lines[i] as string);
    }
    steps.push({ line, command, expected });
  }
  return steps;
}

export interface TranscriptTarget {
  readonly etcdctl: string;
  readonly endpoint: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Replays all steps; throws an error that names the line of the first one that differs. */
export async function replayTranscript(
  steps: readonly Step[],
  target: TranscriptTarget,
): Promise<void> {
  const replay = new Replay(target);
  try {
    for (const step of steps) {
      try {
        await replay.run(step);
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        throw new Error(`line ${step.line}: ${step.command}\n${what}`);
      }
    }
  } finally {
    await replay.close();
  }
}

class Replay {
  readonly #target: TranscriptTarget;
  readonly #words = new Map<string, string>();
  readonly #running = new Map<string, RunningProgram>();

  constructor(target: TranscriptTarget) {
    this.#target = target;
  }

  async run(step: Step): Promise<void> {
    const command = step.command.replace(/\{(\w+)\}/g, (_, name: string) => {
      const word = this.#words.get(name);
      if (word === undefined) throw new Error(`{${name}} was never printed`);
      return word;
    });
    const [verb, ...rest] = command.split(/\s+/);
    switch (verb) {
      case "etcdctl":
        this.#compare(step.expected, await this.#output(rest));
        return;
      case "eventually":
        await this.#eventually(step.expected, rest.slice(1));
        return;
      case "start":
        this.#running.set(rest[0] as string, new RunningProgram(this.#spawn(rest.slice(2))));
        return;
      case "type":
        this.#program(rest[0]).type(rest.slice(1).join(" "));
        return;
      case "read":
        this.#compare(step.expected, await this.#program(rest[0]).read(step.expected.length));
        return;
      case "stop":
        await this.#program(rest[0]).stop();
        this.#running.delete(rest[0] as string);
        return;
      default:
        throw new Error(`unknown step ${verb}`);
    }
  }

  async close(): Promise<void> {
    for (const program of this.#running.values()) await program.stop();
  }

  async #eventually(expected: readonly string[], args: readonly string[]): Promise<void> {
    const endMs = performance.now() + eventuallyMs;
    for (;;) {
      try {
        this.#compare(expected, await this.#output(args));
        return;
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await sleep(100);
      }
    }
  }

  #compare(expected: readonly string[], actual: readonly string[]): void {
    const matches =
      expected.length === actual.length &&
      expected.every((line, i) => this.#matches(line, actual[i] as string));
    if (!matches) {
      throw new Error(`expected:\n  ${expected.join("\n  ")}\nactual:\n  ${actual.join("\n  ")}`);
    }
  }

  #matches(expected: string, actual: string): boolean {
    if (expected === "{}") return actual === "";
    const names: string[] = [];
    const pattern = expected
      .split(/(\{#\}|\{\w+(?: \w+)*\})/)
      .map((part) => {
        if (part === "{#}") return "-?\\d+";
        const words = /^\{(\w+(?: \w+)+)\}$/.exec(part)?.[1]?.split(" ");
        if (words !== undefined) return `(?:${orders(words).join("|")})`;
        const name = /^\{(\w+)\}$/.exec(part)?.[1];
        if (name === undefined) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const known = this.#words.get(name);
        if (known !== undefined) return known;
        names.push(name);
        return "([0-9a-z]+)";
      })
      .join("");
    const found = new RegExp(`^${pattern}$`).exec(actual);
    if (found === null) return false;
    names.forEach((name, i) => {
      this.#words.set(name, found[i + 1] as string);
    });
    return true;
  }

  #program(name: string | undefined): RunningProgram {
    const program = this.#running.get(name ?? "");
    if (program === undefined) throw new Error(`no program ${name} is running`);
    return program;
  }

  #spawn(args: readonly string[]): ChildProcess {
    return spawn(this.#target.etcdctl, [`--endpoints=${this.#target.endpoint}`, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...withoutEtcdVariables(process.env), ...patient, ...this.#target.env },
    });
  }

  #output(args: readonly string[]): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const child = this.#spawn(args);
      const timer = setTimeout(() => child.kill("SIGKILL"), commandMs);
      let out = "";
      let errors = "";
      child.stdin?.end();
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        out += text;
      });
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        errors += text;
      });
      child.on("error", reject);
      child.on("close", (code, signal) => {
        clearTimeout(timer);
        if (code === 0) resolve(toLines(out));
        else reject(new Error(`exit ${signal ?? code}: ${out}${errors}`));
      });
    });
  }
}

class RunningProgram {
  readonly #child: ChildProcess;
  #out = "";
  #taken = 0;
  #errors = "";
  #changed: (() => void) | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#out += text;
      this.#changed?.();
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
    });
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** The next `count` whole lines; fewer when they do not come in time. */
  async read(count: number): Promise<string[]> {
    const endMs = performance.now() + readMs;
    for (;;) {
      const lines = toLines(this.#out.slice(0, this.#out.lastIndexOf("\n") + 1));
      const leftMs = endMs - performance.now();
      if (lines.length >= this.#taken + count || leftMs <= 0) {
        const taken = lines.slice(this.#taken, this.#taken + count);
        if (taken.length < count) taken.push(`(no more output in time; stderr: ${this.#errors})`);
        this.#taken += count;
        return taken;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGINT");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3_000);
    await closed;
    clearTimeout(timer);
  }
}

/** The words in every order, with spaces between them. */
function orders(words: readonly string[]): string[] {
  if (words.length <= 1) return [...words];
  return words.flatMap((word, i) =>
    orders([...words.slice(0, i), ...words.slice(i + 1)]).map((rest) => `${word} ${rest}`),
  );
}

function toLines(text: string): string[] {
  if (text === "") return [];
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}
