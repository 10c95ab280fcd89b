// What a command that talks to a cluster starts with: flags completed from the environment, a client, and
// the printer of the chosen format.

import type { Log } from "@etcd-ts/base";
import { type CallOptions, Client, type ClientOptions, EndpointError } from "@etcd-ts/client";
import { type NodeHost, nodeHost, silentLog } from "@etcd-ts/node";
import type { CommandLine } from "../shared/command-line.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import type { FlagSet } from "../shared/flags.ts";
import { type LineLevel, LogLines, lineLevels } from "../shared/log-lines.ts";
import type { Output } from "../shared/output.ts";
import { givenEndpoints } from "./endpoints.ts";
import { applyEnvironment, variableOf } from "./environment.ts";
import { callFailure } from "./failures.ts";
import { makePrinter } from "./print/make-printer.ts";
import type { Printer } from "./print/printer.ts";
import { readTlsFiles } from "./tls-files.ts";

export interface Session {
  readonly client: Client;
  readonly printer: Printer;
  readonly output: Output;
  readonly flags: FlagSet;
  readonly host: NodeHost;
  readonly log: Log;
  /** Of calls that `--command-timeout` bounds. */
  readonly bounded: CallOptions;
}

export interface SessionOptions {
  /** Variables that the command reads itself. */
  readonly ownVariables?: readonly string[];
  /** Name of the client's logger. */
  readonly logger?: string;
  /** Ask the given endpoints only, never those of an SRV record. */
  readonly literalEndpoints?: boolean;
}

/** Builds the client, runs `body`, closes the client. A failed call ends the command with status 1. */
export async function withClient(
  line: CommandLine,
  output: Output,
  body: (session: Session) => Promise<number | undefined>,
  options: SessionOptions = {},
): Promise<number> {
  const { flags } = line;
  const host = nodeHost({ log: silentLog });
  const level = flags.bool("debug") ? "debug" : logLevel(output);
  const log = new LogLines(output, host.clock, level);
  const inherited = line.path.slice(0, -1).flatMap((it) => it.persistentFlags ?? []);
  if (!applyEnvironment(flags, inherited, process.env, options.ownVariables ?? [], log)) {
    throw Failure.silent(ExitCode.error);
  }
  if (flags.bool("debug")) {
    for (const spec of [...inherited].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      output.err(`${variableOf(spec)}=${flags.text(spec.name)}\n`);
    }
  }
  const printer = await makePrinter(flags.string("write-out"), { output, hex: flags.bool("hex") });
  const clientLog = log.named(options.logger ?? "etcd-client");
  const clientOptions = await clientOptionsOf(flags, output, host, clientLog, options);
  const client = makeClient(clientOptions);
  try {
    try {
      await client.authenticate({ timeoutMs: flags.milliseconds("dial-timeout") });
    } catch (error) {
      throw callFailure(error, ExitCode.badConnection);
    }
    const bounded = { timeoutMs: flags.milliseconds("command-timeout") };
    const session = { client, printer, output, flags, host, log, bounded };
    return (await body(session)) ?? ExitCode.success;
  } catch (error) {
    throw callFailure(error);
  } finally {
    client.close();
  }
}

function makeClient(options: ClientOptions): Client {
  try {
    return new Client(options);
  } catch (error) {
    if (error instanceof EndpointError) throw new Failure(ExitCode.badConnection, error.message);
    throw error;
  }
}

async function clientOptionsOf(
  flags: FlagSet,
  output: Output,
  host: NodeHost,
  log: Log,
  options: SessionOptions,
): Promise<ClientOptions> {
  let endpoints: readonly string[] = givenEndpoints(flags);
  const domain = flags.string("discovery-srv");
  if (domain !== "" && options.literalEndpoints !== true) {
    const { discoverEndpoints } = await import("./discovery.ts");
    const found = await discoverEndpoints(
      domain,
      flags.string("discovery-srv-name"),
      flags.bool("insecure-discovery"),
      output,
    );
    if (found.length > 0) endpoints = found;
  }
  const serverName = domain !== "" && !flags.bool("insecure-discovery") ? domain : "";
  if (endpoints.length === 0) {
    throw new Failure(ExitCode.badConnection, "etcdclient: no available endpoints");
  }
  for (const name of ["cacert", "cert", "key"]) {
    if (flags.has(name) && flags.string(name) === "") {
      throw Failure.badArguments(`empty string is passed to --${name} option`);
    }
  }
  const tls = readTlsFiles({
    cert: flags.string("cert"),
    key: flags.string("key"),
    cacert: flags.string("cacert"),
    insecureTransport: flags.bool("insecure-transport"),
    insecureSkipVerify: flags.bool("insecure-skip-tls-verify"),
    serverName,
  });
  const token = flags.string("auth-jwt-token");
  const credentials =
    token === ""
      ? await credentialsOf(flags.string("user"), flags.string("password"), "Password: ", output)
      : undefined;
  return {
    endpoints,
    host,
    log,
    ...(tls === undefined ? {} : { tls }),
    ...(token === "" ? {} : { token }),
    ...(credentials === undefined ? {} : { credentials }),
    ...messageLimits(flags),
    keepaliveTimeMs: flags.milliseconds("keepalive-time"),
    keepaliveTimeoutMs: flags.milliseconds("keepalive-timeout"),
  };
}

function messageLimits(flags: FlagSet): Pick<ClientOptions, "sendBytesMax" | "receiveBytesMax"> {
  const send = Number(flags.int("max-request-bytes"));
  const receive = Number(flags.int("max-recv-bytes"));
  if (send > 0 && receive > 0 && receive < send) {
    throw new Failure(
      ExitCode.badConnection,
      `gRPC message recv limit (${receive} bytes) must be greater than send limit (${send} bytes)`,
    );
  }
  return {
    ...(send > 0 ? { sendBytesMax: send } : {}),
    ...(receive > 0 ? { receiveBytesMax: receive } : {}),
  };
}

/** Who the user is; an empty password means that nobody asks. */
export async function credentialsOf(
  user: string,
  givenPassword: string,
  prompt: string,
  output: Output,
): Promise<{ name: string; password: string } | undefined> {
  if (user === "") return undefined;
  let name = user;
  let password = givenPassword;
  if (password === "") {
    const colon = user.indexOf(":");
    if (colon >= 0) {
      name = user.slice(0, colon);
      password = user.slice(colon + 1);
    } else {
      const { askPassword } = await import("./password.ts");
      password = await askPassword(prompt, output);
    }
  }
  return password === "" ? undefined : { name, password };
}

/** Level of the client's log lines, from ETCD_CLIENT_DEBUG. */
function logLevel(output: Output): LineLevel {
  const given = process.env["ETCD_CLIENT_DEBUG"] ?? "";
  if (given === "" || given === "true") return "info";
  const level = lineLevels.find((it) => it === given.toLowerCase());
  if (level !== undefined) return level;
  output.err(`unknown level ${given} in ETCD_CLIENT_DEBUG, using "info"\n`);
  return "info";
}
