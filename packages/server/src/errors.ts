// The rows of the error catalogue as a server answers with them.

import { type ErrorCode, errorRows } from "@etcd-ts/api";
import type { Refusal } from "./refusals.ts";

/** Refusals by the name of their row. */
export const catalogue: Readonly<Record<ErrorCode, Refusal>> = Object.fromEntries(
  Object.entries(errorRows).map(([name, row]) => [
    name,
    { code: row.wireStatus, message: row.message },
  ]),
) as Record<ErrorCode, Refusal>;

export function refusalOf(code: ErrorCode): Refusal {
  return catalogue[code];
}
