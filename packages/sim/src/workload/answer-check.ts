// What the answer to one call on keys must be: right, by the reference store at the revision that it names, and
// timely, by what was known before the call was made. And the diary of each key, for the check without revisions.

import { encodeKeyValue, type KeyValue, type RangeRequest, type RangeResponse } from "@etcd-ts/api";
import { bytesToKey, bytesToUtf8, equalBytes, type Key } from "@etcd-ts/base";
import type { Write } from "../checks/history.ts";
import type { RegisterOperation } from "../checks/register-check.ts";
import { Violation } from "../checks/violation.ts";
import type { ClusterNode } from "../cluster.ts";
import type { Caller } from "./caller.ts";

/** What is known of a call when it is made. */
export interface Asked {
  readonly node: ClusterNode;
  readonly floor: number;
  readonly sentMs: number;
  /** What this life of the member has shown to this client before. */
  readonly shownBefore: number;
}

export class AnswerCheck {
  readonly #caller: Caller;
  readonly #registers: Map<Key, RegisterOperation[]>;
  /** Revisions that this client was shown, by member and life: they never go back. */
  readonly #shownBy = new Map<string, number>();

  constructor(caller: Caller, registers: Map<Key, RegisterOperation[]>) {
    this.#caller = caller;
    this.#registers = registers;
  }

  /** To be called right before a call. */
  ask(node: ClusterNode): Asked {
    const { history } = this.#caller.cluster;
    return {
      node,
      floor: history.floor,
      sentMs: this.#caller.nowMs,
      shownBefore: this.#shownBy.get(lifeOf(node)) ?? 0,
    };
  }

  shown(asked: Asked, what: string, revision: number, linearizable: boolean): void {
    const { history } = this.#caller.cluster;
    if (revision < asked.shownBefore) {
      throw new Violation(
        "revisions never decrease",
        `${what} has revision ${revision} after ${asked.shownBefore} on the same member`,
      );
    }
    const life = lifeOf(asked.node);
    this.#shownBy.set(life, Math.max(revision, this.#shownBy.get(life) ?? 0));
    if (linearizable) history.shown(what, revision, asked.floor);
    else if (revision > history.revision) {
      throw new Violation(
        "serializable prefix",
        `${what} is of revision ${revision}, not yet there`,
      );
    }
  }

  /** What was acknowledged at a revision stands there. */
  mustBeAt(write: Write, revision: number): void {
    if (write.appliedAt === revision) return;
    throw new Violation(
      "acknowledged writes",
      `${write.name} was acknowledged at revision ${revision}, but stands at ${write.appliedAt}`,
    );
  }

  at(key: Key, revision: number): KeyValue | undefined {
    return this.#caller.cluster.history.at(key, revision);
  }

  sameRange(
    what: string,
    serializable: boolean,
    request: RangeRequest,
    response: RangeResponse,
    revision: number,
  ): void {
    const { history } = this.#caller.cluster;
    const all = history.range(bytesToKey(request.key), bytesToKey(request.rangeEnd), revision);
    const limit = Number(request.limit);
    const expected = limit > 0 ? all.slice(0, limit) : all;
    const { kvs, count, more } = response;
    const checker = serializable ? "serializable prefix" : "linearizability";
    if (
      kvs.length !== expected.length ||
      count !== all.length ||
      more !== all.length > kvs.length
    ) {
      throw new Violation(
        checker,
        `${what} of revision ${revision} gave ${kvs.length} of ${count} keys, ` +
          `not ${expected.length} of ${all.length}`,
      );
    }
    for (let i = 0; i < kvs.length; i++) {
      this.same(what, kvs[i], expected[i], revision, checker);
    }
  }

  same(
    what: string,
    found: KeyValue | undefined,
    expected: KeyValue | undefined,
    revision: number,
    checker = "linearizability",
  ): void {
    const isSame =
      found === undefined || expected === undefined
        ? found === expected
        : equalBytes(encodeKeyValue(found), encodeKeyValue(expected));
    if (isSame) return;
    throw new Violation(
      checker,
      `${what} of revision ${revision} shows ${shownKv(found)}, not ${shownKv(expected)}`,
    );
  }

  register(
    asked: Asked,
    key: Key,
    returnedMs: number | undefined,
    requires: { readonly value: string | undefined } | undefined,
    leaves: { readonly value: string | undefined } | undefined,
  ): void {
    const registers = this.#registers;
    let operations = registers.get(key);
    if (operations === undefined) {
      operations = [];
      registers.set(key, operations);
    }
    const name = `${this.#caller.name} at ${asked.sentMs.toFixed(1)} ms`;
    operations.push({ name, invokedMs: asked.sentMs, returnedMs, requires, leaves });
  }
}

function lifeOf(node: ClusterNode): string {
  return `${node.name}/${node.lifeCount}`;
}

export function valueIn(kv: KeyValue | undefined): string | undefined {
  return kv === undefined ? undefined : bytesToUtf8(kv.value);
}

function shownKv(kv: KeyValue | undefined): string {
  if (kv === undefined) return "nothing";
  const { modRevision, createRevision, version } = kv;
  return `${bytesToKey(kv.key)} = ${short(bytesToUtf8(kv.value))} (${createRevision}, ${modRevision}, ${version})`;
}

export function short(value: string): string {
  return value.length > 24 ? `${value.slice(0, 24)}…` : value;
}
