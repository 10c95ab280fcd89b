// `txn`: a transaction out of three parts of standard input, each ended by an empty line: compares, requests
// for when they hold, requests for when not.

import { Compare, CompareResult, CompareTarget, RequestOp, TxnRequest } from "@etcd-ts/api";
import { textToBytes } from "../../shared/byte-text.ts";
import type { CommandSpec } from "../../shared/command.ts";
import { type CommandLine, parseCommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { NumberError, parseInt64 } from "../../shared/go-number.ts";
import { quote, unquoteBody } from "../../shared/go-quote.ts";
import { usageBlock } from "../../shared/help.ts";
import type { Output } from "../../shared/output.ts";
import { inputLines } from "../../shared/stdin.ts";
import { splitWords } from "../../shared/word-split.ts";
import { delRequest, getRequest, putRequest } from "../requests.ts";
import { withClient } from "../session.ts";
import { etcdctl } from "../tool.ts";
import { keyValueCommands } from "../tree-key-value.ts";
import { warnOfRange } from "./del.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  if (line.words.length > 0) throw Failure.badArguments("txn command does not accept argument");
  const prompt = (text: string) => {
    if (line.flags.bool("interactive")) output.out(`${text}\n`);
  };
  return withClient(line, output, async ({ client, printer }) => {
    const request = new TxnRequest();
    prompt("compares:");
    for await (const text of section()) request.compare.push(parseCompare(text));
    prompt("success requests (get, put, del):");
    for await (const text of section()) request.success.push(await parseOperation(text, output));
    prompt("failure requests (get, put, del):");
    for await (const text of section()) request.failure.push(await parseOperation(text, output));
    printer.txn(await client.kv.txn(request));
    return ExitCode.success;
  });
}

/** Lines up to the next empty one. */
async function* section(): AsyncGenerator<string, void, void> {
  for (;;) {
    const line = (await inputLines().next())?.trim();
    if (line === undefined) throw invalid("EOF");
    if (line === "") return;
    yield line;
  }
}

const relations: ReadonlyMap<string, number> = new Map([
  ["=", CompareResult.EQUAL],
  ["!=", CompareResult.NOT_EQUAL],
  ["<", CompareResult.LESS],
  [">", CompareResult.GREATER],
]);

/** `mod("key") = "1"` */
export function parseCompare(line: string): Compare {
  const open = line.indexOf("(");
  if (open < 0) throw invalid(`malformed comparison: ${line}`);
  const target = line.slice(0, open);
  const { key, operator, value } = parseRelation(line.slice(open + 1));
  if (value === undefined) {
    const got = `${target}(${quote(key ?? "")}) ${operator} ""`;
    throw invalid(`malformed comparison: ${line}; got ${got}`);
  }
  const compare = new Compare();
  compare.key = key as Uint8Array;
  switch (target) {
    case "ver":
    case "version":
      compare.target = CompareTarget.VERSION;
      compare.version = numberOperand(line, value, 10);
      break;
    case "c":
    case "create":
      compare.target = CompareTarget.CREATE;
      compare.createRevision = numberOperand(line, value, 10);
      break;
    case "m":
    case "mod":
      compare.target = CompareTarget.MOD;
      compare.modRevision = numberOperand(line, value, 10);
      break;
    case "val":
    case "value":
      compare.target = CompareTarget.VALUE;
      compare.value = value;
      break;
    case "lease":
      compare.target = CompareTarget.LEASE;
      compare.lease = leaseOperand(line, value);
      break;
    default:
      throw invalid(`malformed comparison: ${line} (unknown target ${target})`);
  }
  const relation = relations.get(operator);
  if (relation === undefined) {
    throw invalid(`malformed comparison: ${line} (unknown operator ${operator})`);
  }
  compare.result = relation;
  return compare;
}

/** What of `"key") = "value"` could be read, from the left. */
function parseRelation(text: string): {
  key: Uint8Array | undefined;
  operator: string;
  value: Uint8Array | undefined;
} {
  const key = quotedAtStart(text);
  if (key === undefined) return { key: undefined, operator: "", value: undefined };
  const middle = /^\)\s+(\S+)/.exec(key.rest);
  if (middle === null) return { key: key.bytes, operator: "", value: undefined };
  const rest = key.rest.slice(middle[0].length);
  const value = /^\s/.test(rest) ? quotedAtStart(rest) : undefined;
  return { key: key.bytes, operator: middle[1] as string, value: value?.bytes };
}

/** A Go string literal after optional blanks, and what follows it. */
function quotedAtStart(text: string): { bytes: Uint8Array; rest: string } | undefined {
  const raw = /^\s*`([^`]*)`/.exec(text);
  if (raw !== null) {
    return { bytes: textToBytes(raw[1] as string), rest: text.slice(raw[0].length) };
  }
  const literal = /^\s*"((?:[^"\\]|\\.)*)"/.exec(text);
  const bytes = literal === null ? undefined : unquoteBody(literal[1] as string);
  if (literal === null || bytes === undefined) return undefined;
  return { bytes, rest: text.slice(literal[0].length) };
}

function numberOperand(line: string, value: Uint8Array, base: 0 | 10 | 16): bigint {
  try {
    return parseInt64(Buffer.from(value).toString("latin1"), base);
  } catch (error) {
    if (error instanceof NumberError) throw invalid(`invalid txn compare request: ${line}`);
    throw error;
  }
}

/** Lease IDs are decimal when they can be, otherwise hex, as they are shown; 0 is none. */
function leaseOperand(line: string, value: Uint8Array): bigint {
  const text = Buffer.from(value).toString("latin1");
  return numberOperand(line, value, /^[+-]?[0-9]{1,15}$/.test(text) ? 10 : 16);
}

/** The commands of a request line, as a tool of their own. */
const operations: CommandSpec = {
  name: "",
  short: "",
  commands: keyValueCommands.filter((it) => ["get", "put", "del"].includes(it.name)),
};

export async function parseOperation(line: string, output: Output): Promise<RequestOp> {
  const words = splitWords(line);
  if (words.length < 2) throw invalid(`invalid txn compare request: ${line}`);
  const parsed = parseCommandLine(operations, words);
  if (parsed.kind === "usage-error") {
    output.err(`${usageBlock({ ...etcdctl, closing: "" }, parsed.path)}`);
  }
  if (parsed.kind !== "run") throw invalid(`invalid txn request: ${line}`);
  const { flags, words: rest, path } = parsed.line;
  const operation = new RequestOp();
  switch (path.at(-1)?.name) {
    case "get":
      operation.requestRange = getRequest(flags, rest);
      break;
    case "put":
      operation.requestPut = await putRequest(flags, rest, undefined);
      break;
    default:
      operation.requestDeleteRange = delRequest(flags, rest);
      await warnOfRange(flags, rest, output);
  }
  return operation;
}

function invalid(message: string): Failure {
  return new Failure(ExitCode.invalidInput, message);
}
