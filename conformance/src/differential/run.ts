// The differential run: the same random operations against two servers, every answer and error compared
// field by field, watch events and HASHKV as well. The first difference ends the run with an error that
// names the seed and the number of the operation, and shows both answers.

import {
  decodeCompactionResponse,
  decodeDeleteRangeResponse,
  decodeHashKVResponse,
  decodeLeaseGrantResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseRevokeResponse,
  decodeLeaseTimeToLiveResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeHashKVRequest,
  encodeLeaseGrantRequest,
  encodeLeaseLeasesRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  errorRows,
  HashKVRequest,
  PutRequest,
  type ResponseHeader,
} from "@etcd-ts/api";
import { type Bytes, utf8ToBytes } from "@etcd-ts/base";
import { type RawClient, RawError } from "../raw-client.ts";
import { Generator, type Operation } from "./generator.ts";
import { normalizeResponse, type Quirks, type Tree, toTree } from "./normalize.ts";
import { WatchRecorder } from "./watch-recorder.ts";

export interface DifferentialOptions {
  readonly seed: number;
  readonly operationCount: number;
  /** Watch events are compared, and HASHKV, every so many operations. */
  readonly syncEvery: number;
  readonly hugeBytes: number;
  readonly compactOnlyAtPuts: boolean;
  readonly unknownSorts: boolean;
  readonly quirks: Quirks;
  readonly progress?: (done: number) => void;
}

export interface DifferentialCounts {
  operations: number;
  refused: number;
  events: number;
  hashes: number;
}

export interface Sent {
  readonly path: string;
  readonly message: Bytes;
  readonly decode: (bytes: Bytes) => object;
}

/** Runs to the end or throws at the first difference. */
export async function runDifferential(
  left: RawClient,
  right: RawClient,
  options: DifferentialOptions,
): Promise<DifferentialCounts> {
  const generator = new Generator(options);
  const watches = [new WatchRecorder(left), new WatchRecorder(right)] as const;
  const counts: DifferentialCounts = { operations: 0, refused: 0, events: 0, hashes: 0 };
  try {
    for (let n = 0; n < options.operationCount; n++) {
      const operation = generator.next();
      counts.operations += 1;
      // A compaction cancels watchers that lag, and who lags is a matter of timing: let them come along first.
      if (operation.kind === "compact") await settle(left, right, watches, n);
      if (operation.kind === "watch") {
        const answers = await Promise.all(watches.map((it) => it.create(operation.request)));
        expectEqual(options, n, operation, answers[0] as Tree, answers[1] as Tree);
      } else if (operation.kind === "unwatch") {
        await Promise.all(watches.map((it) => it.cancel(operation.watchId)));
      } else {
        const sent = encode(operation);
        const [a, b] = await Promise.all([send(left, sent), send(right, sent)]);
        expectEqual(
          options,
          n,
          operation,
          describe(operation, a, options),
          describe(operation, b, options),
        );
        const refused = a instanceof RawError;
        if (refused) counts.refused += 1;
        generator.learn(operation, refused ? 0 : revisionOf(a), !refused);
      }
      if ((n + 1) % options.syncEvery === 0 || n + 1 === options.operationCount) {
        await compareEvents(left, right, watches, options, n);
        await compareHash(left, right, options, n);
        counts.hashes += 1;
        options.progress?.(n + 1);
      }
    }
  } finally {
    for (const it of watches) it.close();
  }
  counts.events = watches[0].eventCount;
  return counts;
}

async function send(client: RawClient, sent: Sent): Promise<object> {
  try {
    return sent.decode(await client.unary(sent.path, sent.message));
  } catch (error) {
    if (error instanceof RawError) return error;
    throw error;
  }
}

function describe(operation: Operation, answer: object, options: DifferentialOptions): Tree {
  if (answer instanceof RawError) {
    // What exactly is wrong with the bytes is told in the words of the decoder in use.
    const message =
      operation.kind === "malformed" ? /^.*request: /.exec(answer.message)?.[0] : answer.message;
    if (operation.kind === "txn" && !options.quirks.preflightInOrder) {
      if (preflightRefusals.has(answer.message)) return "refused before its first write";
    }
    return { code: answer.code, message: message ?? answer.message };
  }
  return normalizeResponse(operation, answer, options.quirks);
}

const preflightRefusals: ReadonlySet<string> = new Set([
  errorRows.futureRev.message,
  errorRows.compacted.message,
  errorRows.leaseNotFound.message,
  errorRows.keyNotFound.message,
]);

/** What the header of an answer says; 0 without one. */
export function revisionOf(answer: object): number {
  const header = (answer as { header?: ResponseHeader }).header;
  return header === undefined ? 0 : Number(header.revision);
}

/** A put to a key of its own marks how far the events must have come. */
async function settle(
  left: RawClient,
  right: RawClient,
  watches: readonly [WatchRecorder, WatchRecorder],
  n: number,
): Promise<void> {
  const marker = new PutRequest();
  marker.key = utf8ToBytes("~marker");
  marker.value = utf8ToBytes(String(n));
  const message = encodePutRequest(marker);
  const answers = await Promise.all(
    [left, right].map((it) => it.unary("/etcdserverpb.KV/Put", message)),
  );
  const revision = Math.max(...answers.map((it) => revisionOf(decodePutResponse(it))));
  await Promise.all(watches.map((it) => it.settle(revision)));
}

async function compareEvents(
  left: RawClient,
  right: RawClient,
  watches: readonly [WatchRecorder, WatchRecorder],
  options: DifferentialOptions,
  n: number,
): Promise<void> {
  await settle(left, right, watches, n);
  const a = watches[0].take();
  const b = watches[1].take();
  for (const id of new Set([...a.keys(), ...b.keys()])) {
    const [ofA, ofB] = comparableEvents(a.get(id) ?? [], b.get(id) ?? []);
    expectEqual(options, n, `events of watch ${id}`, ofA, ofB);
  }
}

/**
 * Of a watch that the client cancelled, what the cancel cannot have changed: it may have come before or after the
 * last events, and stock sends those that wait in its queue then without the `prev_kv` that was asked for (it
 * forgets the wish at once).
 */
export function comparableEvents(left: Tree[], right: Tree[]): readonly [Tree[], Tree[]] {
  if (!isClientCancel(left.at(-1)) || !isClientCancel(right.at(-1))) return [left, right];
  const common = Math.min(left.length, right.length) - 1;
  const a = left.slice(0, common);
  const b = right.slice(0, common);
  for (let i = common - 1; i >= 0 && (lacksPrevKv(a[i]) || lacksPrevKv(b[i])); i--) {
    a[i] = withoutPrevKv(a[i]);
    b[i] = withoutPrevKv(b[i]);
  }
  return [a, b];
}

function lacksPrevKv(event: Tree | undefined): boolean {
  return (event as { prevKv?: Tree }).prevKv === null;
}

function withoutPrevKv(event: Tree | undefined): Tree {
  return { ...(event as { [name: string]: Tree }), prevKv: null };
}

function isClientCancel(event: Tree | undefined): boolean {
  return JSON.stringify(event) === '{"canceled":true,"compactRevision":0}';
}

async function compareHash(
  left: RawClient,
  right: RawClient,
  options: DifferentialOptions,
  n: number,
): Promise<void> {
  const message = encodeHashKVRequest(new HashKVRequest());
  const [a, b] = await Promise.all(
    [left, right].map((it) => it.unary("/etcdserverpb.Maintenance/HashKV", message)),
  );
  const of = (bytes: Bytes | undefined): Tree => {
    const response = decodeHashKVResponse(bytes as Bytes);
    return { hash: response.hash, compactRevision: toTree(response.compactRevision) };
  };
  expectEqual(options, n, "HASHKV", of(a), of(b));
}

function expectEqual(
  options: DifferentialOptions,
  n: number,
  what: Operation | string,
  left: Tree,
  right: Tree,
): void {
  const a = JSON.stringify(left);
  const b = JSON.stringify(right);
  if (a === b) return;
  const shown =
    typeof what === "string" ? what : `${what.kind} ${shorten(JSON.stringify(toTree(what)))}`;
  throw new Error(
    `seed ${options.seed}, operation ${n}: answers differ\n${shown}\nleft:  ${around(a, b)}\nright: ${around(b, a)}`,
  );
}

/** The text around the first place where it differs from the other. */
function around(text: string, other: string): string {
  let at = 0;
  while (at < text.length && text[at] === other[at]) at += 1;
  const start = Math.max(0, at - 400);
  return `${start > 0 ? "…" : ""}${text.slice(start, at + 400)}${at + 400 < text.length ? "…" : ""}`;
}

function shorten(text: string): string {
  return text.length > 4000 ? `${text.slice(0, 4000)}…` : text;
}

/** An operation as a call. */
export function encode(operation: Exclude<Operation, { kind: "watch" | "unwatch" }>): Sent {
  switch (operation.kind) {
    case "put":
      return sent("KV/Put", encodePutRequest(operation.request), decodePutResponse);
    case "range":
      return sent("KV/Range", encodeRangeRequest(operation.request), decodeRangeResponse);
    case "delete":
      return sent(
        "KV/DeleteRange",
        encodeDeleteRangeRequest(operation.request),
        decodeDeleteRangeResponse,
      );
    case "txn":
      return sent("KV/Txn", encodeTxnRequest(operation.request), decodeTxnResponse);
    case "compact":
      return sent(
        "KV/Compact",
        encodeCompactionRequest(operation.request),
        decodeCompactionResponse,
      );
    case "hashKv":
      return sent(
        "Maintenance/HashKV",
        encodeHashKVRequest(operation.request),
        decodeHashKVResponse,
      );
    case "leaseGrant":
      return sent(
        "Lease/LeaseGrant",
        encodeLeaseGrantRequest(operation.request),
        decodeLeaseGrantResponse,
      );
    case "leaseRevoke":
      return sent(
        "Lease/LeaseRevoke",
        encodeLeaseRevokeRequest(operation.request),
        decodeLeaseRevokeResponse,
      );
    case "leaseTimeToLive":
      return sent(
        "Lease/LeaseTimeToLive",
        encodeLeaseTimeToLiveRequest(operation.request),
        decodeLeaseTimeToLiveResponse,
      );
    case "leaseLeases":
      return sent(
        "Lease/LeaseLeases",
        encodeLeaseLeasesRequest(operation.request),
        decodeLeaseLeasesResponse,
      );
    case "malformed":
      return { path: operation.path, message: operation.message, decode: () => ({}) };
  }
}

function sent(method: string, message: Bytes, decode: (bytes: Bytes) => object): Sent {
  return { path: `/etcdserverpb.${method}`, message, decode };
}
