import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { apiVersion, toolVersion } from "../../shared/version.ts";

export function run(_line: CommandLine, output: Output): number {
  output.out(`etcdctl version: ${toolVersion}\nAPI version: ${apiVersion}\n`);
  return ExitCode.success;
}
