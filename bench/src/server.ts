import { type Programs, type ServerOptions, ServerProcess } from "@etcd-ts/conformance";

/** As an operator would run it: durable, with defaults, but for the noise of the log. */
export function startForBench(
  programs: Programs,
  options: ServerOptions = {},
): Promise<ServerProcess> {
  const quiet = programs.version.startsWith("3.4.") ? ["--logger", "zap"] : [];
  return ServerProcess.start(programs, { ...options, args: [...quiet, ...(options.args ?? [])] });
}
