// `endpoint health`: an endpoint is healthy when a linearizable read comes through and no alarm is raised.

import { ApiError } from "@etcd-ts/api";
import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { formatMilliseconds } from "../../shared/go-duration.ts";
import type { Output } from "../../shared/output.ts";
import { endpointsToVisit } from "../endpoints.ts";
import { isCallError, messageOf } from "../failures.ts";
import type { EndpointHealth } from "../print/printer.ts";
import { type Session, withClient } from "../session.ts";
import { alarmName } from "../values.ts";

const healthKey: Uint8Array = Buffer.from("health");

export async function run(line: CommandLine, output: Output): Promise<number> {
  const options = { literalEndpoints: !line.flags.bool("cluster"), logger: "client" };
  return withClient(
    line,
    output,
    async (session) => {
      const endpoints = await endpointsToVisit(session);
      const list: EndpointHealth[] = [];
      // Rows in the order in which the answers came.
      await Promise.all(
        endpoints.map(async (endpoint) => {
          list.push(await probe(session, endpoint));
        }),
      );
      session.printer.endpointHealth(list);
      if (list.some((it) => it.error !== "")) {
        throw new Failure(ExitCode.error, "unhealthy cluster");
      }
      return ExitCode.success;
    },
    options,
  );
}

async function probe(session: Session, endpoint: string): Promise<EndpointHealth> {
  const { clock } = session.host;
  const startedMs = clock.monotonicMs();
  const leftMs = () =>
    Math.max(1, session.flags.milliseconds("command-timeout") - (clock.monotonicMs() - startedMs));
  let error = "";
  let took = "";
  try {
    await using client = session.client.at(endpoint);
    try {
      await client.kv.range({ key: healthKey }, { timeoutMs: leftMs() });
    } catch (failure) {
      // Who is refused was answered by a working cluster.
      if (!(failure instanceof ApiError && failure.code === "permissionDenied")) {
        if (!isCallError(failure)) throw failure;
        error = messageOf(failure);
      }
    }
    took = formatMilliseconds(clock.monotonicMs() - startedMs);
    if (error === "") error = await alarmError(client, leftMs());
  } catch (failure) {
    if (!isCallError(failure)) throw failure;
    error = messageOf(failure);
  }
  return { endpoint, health: error === "", took, error };
}

async function alarmError(client: Session["client"], timeoutMs: number): Promise<string> {
  try {
    const { alarms } = await client.maintenance.alarm({}, { timeoutMs });
    if (alarms.length === 0) return "";
    return `Active Alarm(s): ${alarms.map((it) => `${healthAlarmName(it.alarm)} `).join("")}`;
  } catch (failure) {
    if (!isCallError(failure)) throw failure;
    return "Unable to fetch the alarm list";
  }
}

function healthAlarmName(alarm: number): string {
  const name = alarmName(alarm);
  return name === "NOSPACE" || name === "CORRUPT" ? name : "UNKNOWN";
}
