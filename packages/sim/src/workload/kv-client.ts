// A client that reads and writes keys, one call after the other, and checks each answer against the history:
//
//     an answer of revision R is right when it is what the reference store says of R, and timely when R is not
//     older than what was known to anybody before the call was made (unless it asked for a stale read)
//
// Together with one order of revisions that all members share, that is linearizability. What each key showed is
// also kept for the check that knows nothing of revisions.

import {
  CompactionRequest,
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  decodeCompactionResponse,
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { bytesToKey, type Key, keyToBytes, utf8ToBytes } from "@etcd-ts/base";
import { RpcError, Status } from "@etcd-ts/rpc";
import type { Write } from "../checks/history.ts";
import type { RegisterOperation } from "../checks/register-check.ts";
import { Violation } from "../checks/violation.ts";
import { AnswerCheck, type Asked, short, valueIn } from "./answer-check.ts";
import { type Caller, isRefusal } from "./caller.ts";

export interface KvWorkload {
  /** Keys are `r0`, `r1`, … */
  readonly keyCount: number;
  readonly pauseMs: number;
  readonly valueBytesMax: number;
  /** Shared by all clients: what each key showed. */
  readonly registers: Map<Key, RegisterOperation[]>;
  /** Compactions are asked for. */
  readonly compacts: boolean;
  /** Of each call; 4 s when absent. */
  readonly timeoutMs?: number;
}

const serviceKv = "/etcdserverpb.KV";

export class KvClient {
  readonly caller: Caller;
  readonly #load: KvWorkload;
  #valueCount = 0;
  readonly #answers: AnswerCheck;
  doneCount = 0;
  refusedCount = 0;
  unknownCount = 0;
  #lastSeen:
    | { readonly key: Key; readonly value: string; readonly modRevision: number }
    | undefined;

  constructor(caller: Caller, load: KvWorkload) {
    this.caller = caller;
    this.#load = load;
    this.#answers = new AnswerCheck(caller, load.registers);
  }

  /** Until the caller is stopped. */
  async run(): Promise<void> {
    const { random } = this.caller;
    while (!this.caller.isStopped) {
      await this.caller.pause(this.#load.pauseMs);
      if (this.caller.isStopped) return;
      const dice = random.below(100);
      if (dice < 30) await this.put(this.#key(), { previous: random.chance(1, 4) });
      else if (dice < 50) await this.get(this.#key(), random.chance(1, 3));
      else if (dice < 60) await this.list(random.chance(1, 2), random.below(3));
      else if (dice < 75) await this.swap(this.#key());
      else if (dice < 83) await this.putSeveral();
      else if (dice < 92) await this.delete(this.#key());
      else if (dice < 95) await this.deleteRange();
      else if (dice < 98 || !this.#load.compacts) await this.getOld(this.#key());
      else await this.compact();
    }
  }

  async put(key: Key, options: { previous?: boolean; lease?: bigint } = {}): Promise<boolean> {
    const value = this.#value();
    const request = new PutRequest();
    request.key = keyToBytes(key);
    request.value = utf8ToBytes(value);
    request.prevKv = options.previous ?? false;
    request.lease = options.lease ?? 0n;
    const write = this.caller.cluster.history.begin(`put ${key} = ${short(value)}`, [value]);
    const asked = this.#ask();
    const answer = await this.#send(asked, "Put", encodePutRequest(request), write);
    if (answer === undefined) {
      if (write.outcome === "unknown")
        this.#answers.register(asked, key, undefined, undefined, { value });
      return false;
    }
    const { header, prevKv } = decodePutResponse(answer);
    const revision = header?.revision ?? 0;
    this.#answers.shown(asked, write.name, revision, true);
    this.#answers.mustBeAt(write, revision);
    if (request.prevKv)
      this.#answers.same(write.name, prevKv, this.#answers.at(key, revision - 1), revision);
    const before = request.prevKv ? { value: valueIn(prevKv) } : undefined;
    this.#answers.register(asked, key, this.caller.nowMs, before, { value });
    this.#lastSeen = { key, value, modRevision: revision };
    return true;
  }

  async get(key: Key, serializable: boolean): Promise<string | undefined> {
    const request = new RangeRequest();
    request.key = keyToBytes(key);
    request.serializable = serializable;
    const asked = this.#ask();
    const answer = await this.#send(asked, "Range", encodeRangeRequest(request));
    if (answer === undefined) return undefined;
    const response = decodeRangeResponse(answer);
    const what = `${serializable ? "serializable " : ""}get ${key} at ${asked.node.name}`;
    const revision = response.header?.revision ?? 0;
    this.#answers.shown(asked, what, revision, !serializable);
    this.#answers.sameRange(what, serializable, request, response, revision);
    const value = valueIn(response.kvs[0]);
    if (!serializable) this.#answers.register(asked, key, this.caller.nowMs, { value }, undefined);
    if (value !== undefined) {
      this.#lastSeen = { key, value, modRevision: response.kvs[0]?.modRevision ?? 0 };
    }
    return value;
  }

  async list(serializable: boolean, limit: number): Promise<void> {
    const request = new RangeRequest();
    request.key = keyToBytes("r");
    request.rangeEnd = keyToBytes("s");
    request.serializable = serializable;
    request.limit = BigInt(limit);
    const asked = this.#ask();
    const answer = await this.#send(asked, "Range", encodeRangeRequest(request));
    if (answer === undefined) return;
    const response = decodeRangeResponse(answer);
    const what = `${serializable ? "serializable " : ""}list at ${asked.node.name}`;
    const revision = response.header?.revision ?? 0;
    this.#answers.shown(asked, what, revision, !serializable);
    this.#answers.sameRange(what, serializable, request, response, revision);
  }

  /** At a revision of the past. */
  async getOld(key: Key): Promise<void> {
    const { history } = this.caller.cluster;
    const request = new RangeRequest();
    request.key = keyToBytes(key);
    const old = Math.max(1, history.floor - this.caller.random.below(40));
    request.revision = BigInt(old);
    const asked = this.#ask();
    const answer = await this.#send(asked, "Range", encodeRangeRequest(request));
    if (answer === undefined) return;
    const response = decodeRangeResponse(answer);
    const what = `get ${key} of revision ${old} at ${asked.node.name}`;
    this.#answers.shown(asked, what, response.header?.revision ?? 0, true);
    this.#answers.sameRange(what, false, request, response, old);
  }

  /** If the key is still as it was last seen, writes it, and a second one with it. */
  async swap(keyWanted: Key): Promise<void> {
    const seen = this.#lastSeen;
    const key = seen?.key ?? keyWanted;
    const other = this.#key();
    const values = [this.#value(), this.#value()] as const;
    const request = new TxnRequest();
    const compare = new Compare();
    compare.key = keyToBytes(key);
    compare.result = CompareResult.EQUAL;
    if (seen === undefined) {
      compare.target = CompareTarget.VERSION;
      compare.version = 0n;
    } else if (this.caller.random.chance(1, 2)) {
      compare.target = CompareTarget.VALUE;
      compare.value = utf8ToBytes(seen.value);
    } else {
      compare.target = CompareTarget.MOD;
      compare.modRevision = BigInt(seen.modRevision);
    }
    request.compare.push(compare);
    request.success.push(putOp(key, values[0]));
    if (other !== key) request.success.push(putOp(other, values[1]));
    request.failure.push(getOp(key));
    const used = other === key ? [values[0]] : [...values];
    const write = this.caller.cluster.history.begin(`swap ${key}`, used);
    const asked = this.#ask();
    const answer = await this.#send(asked, "Txn", encodeTxnRequest(request), write);
    const before = { value: seen?.value };
    if (answer === undefined) {
      if (write.outcome !== "unknown") return;
      // If it happened, then because the compare held; if not, it left nothing.
      this.#answers.register(asked, key, undefined, undefined, { value: values[0] });
      if (other !== key)
        this.#answers.register(asked, other, undefined, undefined, { value: values[1] });
      return;
    }
    const response = decodeTxnResponse(answer);
    const revision = response.header?.revision ?? 0;
    this.#answers.shown(asked, write.name, revision, true);
    const stateRevision = response.succeeded ? revision - 1 : revision;
    const held = valueIn(this.#answers.at(key, stateRevision)) === seen?.value;
    if (held !== response.succeeded) {
      throw new Violation(
        "linearizability",
        `${write.name} of revision ${revision} ${response.succeeded ? "succeeded" : "failed"}, ` +
          `but ${key} was ${valueIn(this.#answers.at(key, stateRevision)) ?? "absent"}`,
      );
    }
    const nowMs = this.caller.nowMs;
    if (response.succeeded) {
      this.#answers.mustBeAt(write, revision);
      this.#answers.register(asked, key, nowMs, before, { value: values[0] });
      if (other !== key)
        this.#answers.register(asked, other, nowMs, undefined, { value: values[1] });
      this.#lastSeen = { key, value: values[0], modRevision: revision };
      return;
    }
    this.caller.cluster.history.refused(write);
    const range = response.responses[0]?.responseRange;
    this.#answers.same(write.name, range?.kvs[0], this.#answers.at(key, revision), revision);
    const value = valueIn(range?.kvs[0]);
    this.#answers.register(asked, key, nowMs, { value }, undefined);
    this.#lastSeen =
      value === undefined
        ? undefined
        : { key, value, modRevision: range?.kvs[0]?.modRevision ?? 0 };
  }

  /** Several keys in one transaction without a condition: one revision. */
  async putSeveral(): Promise<void> {
    const count = 2 + this.caller.random.below(3);
    const keys = new Set<Key>();
    for (let i = 0; i < count; i++) keys.add(this.#key());
    const request = new TxnRequest();
    const puts = [...keys].map((key) => ({ key, value: this.#value() }));
    for (const { key, value } of puts) request.success.push(putOp(key, value));
    const values = puts.map(({ value }) => value);
    const write = this.caller.cluster.history.begin(`put ${[...keys].join(" ")}`, values);
    const asked = this.#ask();
    const answer = await this.#send(asked, "Txn", encodeTxnRequest(request), write);
    const returnedMs = answer === undefined ? undefined : this.caller.nowMs;
    if (answer !== undefined) {
      const revision = decodeTxnResponse(answer).header?.revision ?? 0;
      this.#answers.shown(asked, write.name, revision, true);
      this.#answers.mustBeAt(write, revision);
    } else if (write.outcome !== "unknown") return;
    for (const { key, value } of puts)
      this.#answers.register(asked, key, returnedMs, undefined, { value });
  }

  async delete(key: Key): Promise<void> {
    const request = new DeleteRangeRequest();
    request.key = keyToBytes(key);
    request.prevKv = true;
    const asked = this.#ask();
    const answer = await this.#send(asked, "DeleteRange", encodeDeleteRangeRequest(request));
    const leaves = { value: undefined };
    if (answer === undefined) {
      this.#answers.register(asked, key, undefined, undefined, leaves);
      return;
    }
    const { header, deleted, prevKvs } = decodeDeleteRangeResponse(answer);
    const revision = header?.revision ?? 0;
    const what = `delete ${key} at ${asked.node.name}`;
    this.#answers.shown(asked, what, revision, true);
    const value = valueIn(prevKvs[0]);
    if (deleted !== prevKvs.length) throw new Violation("linearizability", `${what}: ${deleted}`);
    this.#answers.same(
      what,
      prevKvs[0],
      this.#answers.at(key, deleted > 0 ? revision - 1 : revision),
      revision,
    );
    if (deleted > 0 && this.#answers.at(key, revision) !== undefined) {
      throw new Violation("acknowledged writes", `${what} of revision ${revision} did not happen`);
    }
    this.#answers.register(asked, key, this.caller.nowMs, { value }, leaves);
  }

  async deleteRange(): Promise<void> {
    const { history } = this.caller.cluster;
    const first = this.caller.random.below(this.#load.keyCount);
    const from = `r${first}`;
    const end = `r${first}~`; // r1, r10, r11, …
    const request = new DeleteRangeRequest();
    request.key = keyToBytes(from);
    request.rangeEnd = keyToBytes(end);
    request.prevKv = true;
    const asked = this.#ask();
    const answer = await this.#send(asked, "DeleteRange", encodeDeleteRangeRequest(request));
    const leaves = { value: undefined };
    const keys = Array.from({ length: this.#load.keyCount }, (_, i) => `r${i}`).filter(
      (key) => key >= from && key < end,
    );
    if (answer === undefined) {
      for (const key of keys) this.#answers.register(asked, key, undefined, undefined, leaves);
      return;
    }
    const { header, deleted, prevKvs } = decodeDeleteRangeResponse(answer);
    const revision = header?.revision ?? 0;
    const what = `delete ${from}… at ${asked.node.name}`;
    this.#answers.shown(asked, what, revision, true);
    const before = history.range(from, end, deleted > 0 ? revision - 1 : revision);
    if (before.length !== deleted || prevKvs.length !== deleted) {
      throw new Violation(
        "linearizability",
        `${what} of revision ${revision} removed ${deleted} keys, there were ${before.length}`,
      );
    }
    for (let i = 0; i < deleted; i++) this.#answers.same(what, prevKvs[i], before[i], revision);
    for (const key of keys) {
      const old = prevKvs.find((kv) => bytesToKey(kv.key) === key);
      this.#answers.register(asked, key, this.caller.nowMs, { value: valueIn(old) }, leaves);
    }
  }

  async compact(): Promise<void> {
    const { history } = this.caller.cluster;
    const request = new CompactionRequest();
    request.revision = BigInt(Math.max(1, history.floor - this.caller.random.below(30)));
    request.physical = this.caller.random.chance(1, 3);
    const asked = this.#ask();
    const answer = await this.#send(asked, "Compact", encodeCompactionRequest(request));
    if (answer === undefined) return;
    const revision = decodeCompactionResponse(answer).header?.revision ?? 0;
    this.#answers.shown(asked, `compact ${request.revision}`, revision, true);
  }

  // --- inside -----------------------------------------------------------------------------------------

  #key(): Key {
    // A few keys are used more than others.
    const { random } = this.caller;
    const bound = random.chance(1, 2) ? Math.min(3, this.#load.keyCount) : this.#load.keyCount;
    return `r${random.below(bound)}`;
  }

  #value(): string {
    const { random, name } = this.caller;
    const unique = `${name}.${++this.#valueCount}.`;
    const isLarge = random.chance(1, 20);
    const bytes = isLarge ? random.below(this.#load.valueBytesMax) : random.below(40);
    return unique + "x".repeat(bytes);
  }

  #ask(): Asked {
    return this.#answers.ask(this.caller.someNode());
  }

  /** Undefined: refused, or nobody knows. `write` is told which. */
  async #send(
    asked: Asked,
    method: string,
    message: Uint8Array,
    write?: Write,
  ): Promise<Uint8Array | undefined> {
    try {
      const path = `${serviceKv}/${method}`;
      const answer = await this.caller.call(asked.node, path, message, this.#load.timeoutMs);
      this.doneCount++;
      if (write !== undefined) write.outcome = "done";
      return answer;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      if (isRefusal(error)) {
        this.#mayRefuse(method, error);
        this.refusedCount++;
        if (write !== undefined) this.caller.cluster.history.refused(write);
      } else {
        if (error.code === Status.internal || error.code === Status.dataLoss) {
          throw new Violation("answers", `${method} at ${asked.node.name}: ${error.message}`);
        }
        this.unknownCount++;
        if (write !== undefined) write.outcome = "unknown";
      }
      return undefined;
    }
  }

  /** What a member may say no to here. */
  #mayRefuse(method: string, error: RpcError): void {
    if (error.code === Status.invalidArgument || error.code === Status.unimplemented) {
      throw new Violation("answers", `${method}: ${error.message}`);
    }
  }
}

function putOp(key: Key, value: string): RequestOp {
  const op = new RequestOp();
  op.requestPut = new PutRequest();
  op.requestPut.key = keyToBytes(key);
  op.requestPut.value = utf8ToBytes(value);
  return op;
}

function getOp(key: Key): RequestOp {
  const op = new RequestOp();
  op.requestRange = new RangeRequest();
  op.requestRange.key = keyToBytes(key);
  return op;
}
