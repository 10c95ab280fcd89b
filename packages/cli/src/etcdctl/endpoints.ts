// The endpoints that `endpoint …` and `defrag` visit one by one.

import { ExitCode, Failure } from "../shared/exit.ts";
import type { FlagSet } from "../shared/flags.ts";
import { isCallError, messageOf } from "./failures.ts";
import type { Session } from "./session.ts";

/** Those of `--endpoints`. A comma at the end of a list, as scripts make them, adds none. */
export function givenEndpoints(flags: FlagSet): readonly string[] {
  return flags
    .strings("endpoints")
    .map((it) => it.trim())
    .filter((it) => it !== "");
}

/** The given endpoints, or with `--cluster` the client URLs of all members. Throws `Failure`. */
export async function endpointsToVisit(session: Session): Promise<readonly string[]> {
  const { client, flags, bounded } = session;
  if (!flags.bool("cluster")) return givenEndpoints(flags);
  try {
    const response = await client.cluster.memberList({ linearizable: true }, bounded);
    return response.members.flatMap((it) => it.clientUrls);
  } catch (error) {
    if (!isCallError(error)) throw error;
    throw new Failure(
      ExitCode.error,
      `failed to fetch endpoints from etcd cluster member list: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
