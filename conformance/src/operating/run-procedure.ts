// Runs a procedure of a document: its commands in a shell, in an empty folder, with the programs on the PATH and with
// ports that the system chooses in the place of those in the text.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takePorts } from "@etcd-ts/node/testing";
import { withoutEtcdVariables } from "../server-process.ts";
import { Expectation } from "./expectation.ts";
import type { Procedure, Step } from "./procedures.ts";
import { Shell } from "./shell.ts";

export interface ProcedureRun {
  /** A folder with etcd, etcdctl and etcdutl. */
  readonly programs: string;
  /** A folder with those of a stock release. */
  readonly stock?: string;
  /** Puts a printed line into the words of the document, when an older release runs it. */
  readonly reword?: (line: string, command: string) => string;
  /** Told what each command printed. */
  readonly onStep?: (step: Step, command: string, lines: readonly string[], tookMs: number) => void;
}

const stepMs = 180_000;
const logLines = 5;

/** Throws an `Error` that names the line of the document at which the procedure went wrong. */
export async function runProcedure(procedure: Procedure, run: ProcedureRun): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-operating-"));
  const ports = await PortMap.of(procedure);
  const expectation = new Expectation();
  const shell = new Shell(folder, {
    ...withoutEtcdVariables(process.env),
    PATH: `${run.programs}:${process.env["PATH"] ?? ""}`,
    LC_ALL: "C.UTF-8",
  } as Record<string, string>);
  try {
    for (const step of procedure.steps) {
      const command = expectation
        .translate(ports.here(step.command))
        .replaceAll("/opt/etcd/", `${run.stock ?? "/opt/etcd"}/`);
      const startedMs = performance.now();
      let problem: string | undefined;
      try {
        const { lines, status } = await shell.run(command, stepMs);
        const shown = lines
          .map((it) => ports.documented(it))
          .map((it) => run.reword?.(it, command) ?? it);
        run.onStep?.(step, command, shown, performance.now() - startedMs);
        problem = statusProblem(step, status, shown) ?? expectation.problem(step.expected, shown);
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error);
      }
      if (problem !== undefined) {
        throw new Error(
          `line ${step.line}, in "${procedure.name}":\n$ ${command}\n${problem}\n${lastLogLines(folder)}`,
        );
      }
    }
  } finally {
    await shell.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A command fails if, and only if, the document shows an error. */
function statusProblem(step: Step, status: number, lines: readonly string[]): string | undefined {
  const mayFail = step.expected.some((it) => /^(Error:|Failed |\S+ is unhealthy)/.test(it));
  if (mayFail === (status !== 0)) return undefined;
  return `exit status ${status}, and it printed\n  ${lines.join("\n  ")}`;
}

/** What the members said last, and commands whose output went to a file: mostly why a procedure went wrong. */
function lastLogLines(folder: string): string {
  return readdirSync(folder)
    .filter((it) => /\.(log|txt)$/.test(it))
    .map((it) => {
      const lines = readFileSync(join(folder, it), "utf8").trimEnd().split("\n");
      return `${it}:\n${lines.slice(-logLines).join("\n")}`;
    })
    .join("\n");
}

/** Ports of the document and those that stand for them here. */
class PortMap {
  readonly #here: ReadonlyMap<string, string>;
  readonly #documented: ReadonlyMap<string, string>;

  private constructor(here: ReadonlyMap<string, string>) {
    this.#here = here;
    this.#documented = new Map([...here].map(([a, b]) => [b, a]));
  }

  /** In the same order as those of the document, so that sorted output stays sorted. */
  static async of(procedure: Procedure): Promise<PortMap> {
    const text = procedure.steps.map((it) => it.command).join("\n");
    const documented = new Set(
      [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map((it) => Number(it[1])),
    );
    const found = (await takePorts(documented.size)).sort((a, b) => a - b);
    const ordered = [...documented].sort((a, b) => a - b);
    return new PortMap(new Map(ordered.map((it, i) => [String(it), String(found[i])])));
  }

  here(text: string): string {
    return replacePorts(text, this.#here);
  }

  documented(text: string): string {
    return replacePorts(text, this.#documented);
  }
}

function replacePorts(text: string, ports: ReadonlyMap<string, string>): string {
  return text.replace(/(?<=127\.0\.0\.1:)\d+/g, (port) => ports.get(port) ?? port);
}
