// Requests out of the words and flags of `get`, `put` and `del`, on the command line and in `txn` input.

import { DeleteRangeRequest, PutRequest, RangeRequest, SortOrder, SortTarget } from "@etcd-ts/api";
import { textToBytes } from "../shared/byte-text.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import type { FlagSet } from "../shared/flags.ts";
import { NumberError, parseInt64 } from "../shared/go-number.ts";
import { openEnd, prefixEnd } from "./values.ts";

/** `<key> [range_end]` with `--prefix` and `--from-key`. */
interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

const none: Uint8Array = new Uint8Array(0);

const putUsage = "put command needs 1 argument and input from stdin or 2 arguments";

/** A put; `readValue` gives the value when no word does. */
export async function putRequest(
  flags: FlagSet,
  words: readonly string[],
  readValue: (() => Promise<Uint8Array>) | undefined,
): Promise<PutRequest> {
  const key = words[0];
  if (key === undefined) throw Failure.badArguments(putUsage);
  const ignoreValue = flags.bool("ignore-value");
  if (ignoreValue && words.length > 1) {
    throw Failure.badArguments("put command needs only 1 argument when 'ignore-value' is set");
  }
  const request = new PutRequest();
  request.key = textToBytes(key);
  if (!ignoreValue) {
    const value = words[1];
    if (value !== undefined) request.value = textToBytes(value);
    else {
      const read = (await readValue?.()) ?? none;
      if (read.length === 0) throw Failure.badArguments(putUsage);
      request.value = read;
    }
  }
  request.lease = leaseFlag(flags.string("lease"));
  request.prevKv = flags.bool("prev-kv");
  request.ignoreValue = ignoreValue;
  request.ignoreLease = flags.bool("ignore-lease");
  return request;
}

function leaseFlag(text: string): bigint {
  try {
    return parseInt64(text, 16);
  } catch (error) {
    if (!(error instanceof NumberError)) throw error;
    throw Failure.badArguments(`bad lease ID (${error.message}), expecting ID in Hex`);
  }
}

const sortOrders: ReadonlyMap<string, number> = new Map([
  ["", SortOrder.NONE],
  ["ASCEND", SortOrder.ASCEND],
  ["DESCEND", SortOrder.DESCEND],
]);

const sortTargets: ReadonlyMap<string, number> = new Map([
  ["", SortTarget.KEY],
  ["CREATE", SortTarget.CREATE],
  ["KEY", SortTarget.KEY],
  ["MODIFY", SortTarget.MOD],
  ["VALUE", SortTarget.VALUE],
  ["VERSION", SortTarget.VERSION],
]);

export function getRequest(flags: FlagSet, words: readonly string[]): RangeRequest {
  if (words.length === 0) {
    throw Failure.badArguments(
      "get command needs one argument as key and an optional argument as range_end",
    );
  }
  checkPrefixOrFrom(flags);
  if (flags.bool("keys-only") && flags.bool("count-only")) {
    throw Failure.badArguments(
      "`--keys-only` and `--count-only` cannot be set at the same time, choose one",
    );
  }
  const request = new RangeRequest();
  switch (flags.string("consistency")) {
    case "l":
      break;
    case "s":
      request.serializable = true;
      break;
    default:
      throw badFeature(`unknown consistency flag "${flags.string("consistency")}"`);
  }
  Object.assign(request, keyRange(flags, words));
  request.limit = flags.int("limit");
  if (flags.int("rev") > 0n) request.revision = flags.int("rev");

  const order = sortOrders.get(flags.string("order").toUpperCase());
  if (order === undefined) throw badFeature(`bad sort order ${flags.string("order")}`);
  const target = sortTargets.get(flags.string("sort-by").toUpperCase());
  if (target === undefined) throw badFeature(`bad sort target ${flags.string("sort-by")}`);
  request.sortTarget = target;
  // Keys come in ascending order anyway.
  request.sortOrder =
    target === SortTarget.KEY && order === SortOrder.ASCEND ? SortOrder.NONE : order;

  request.keysOnly = flags.bool("keys-only");
  request.countOnly = flags.bool("count-only");
  const [minCreate, maxCreate] = revisionFilter(flags, "create", "CreateRev");
  const [minMod, maxMod] = revisionFilter(flags, "mod", "ModRev");
  request.minCreateRevision = minCreate;
  request.maxCreateRevision = maxCreate;
  request.minModRevision = minMod;
  request.maxModRevision = maxMod;
  return request;
}

function revisionFilter(flags: FlagSet, name: string, shown: string): [bigint, bigint] {
  const min = flags.int(`min-${name}-rev`);
  const max = flags.int(`max-${name}-rev`);
  if (min > 0n && max > 0n && min > max) {
    throw badFeature(`getMin${shown}(=${min}) > getMax${shown}(=${max})`);
  }
  return [min > 0n ? min : 0n, max > 0n ? max : 0n];
}

export function delRequest(flags: FlagSet, words: readonly string[]): DeleteRangeRequest {
  if (words.length === 0 || words.length > 2) {
    throw Failure.badArguments(
      "del command needs one argument as key and an optional argument as range_end",
    );
  }
  checkPrefixOrFrom(flags);
  const request = new DeleteRangeRequest();
  Object.assign(request, keyRange(flags, words));
  request.prevKv = flags.bool("prev-kv");
  return request;
}

function checkPrefixOrFrom(flags: FlagSet): void {
  if (flags.bool("prefix") && flags.bool("from-key")) {
    throw Failure.badArguments(
      "`--prefix` and `--from-key` cannot be set at the same time, choose one",
    );
  }
}

function keyRange(flags: FlagSet, words: readonly string[]): KeyRange {
  const prefix = flags.bool("prefix");
  const from = flags.bool("from-key");
  const key = textToBytes(words[0] as string);
  const end = words[1];
  if (end !== undefined) {
    if (prefix || from) {
      throw Failure.badArguments(
        "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
      );
    }
    return { key, rangeEnd: textToBytes(end) };
  }
  if (!prefix && !from) return { key, rangeEnd: none };
  if (key.length === 0) return { key: openEnd, rangeEnd: openEnd };
  return { key, rangeEnd: prefix ? prefixEnd(key) : openEnd };
}

function badFeature(message: string): Failure {
  return new Failure(ExitCode.badFeature, message);
}
