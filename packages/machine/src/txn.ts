// Transactions (semantics §6): choose the path, check everything on it against the state before, then run
// the operations in order; they see what those before them wrote. After the check nothing can fail.
//
// A range inside a transaction may be long. What does not fit into one slice goes on later as a job that
// reads the state as it was at that moment of the transaction: the (main, sub) point, not just a revision.

import type { ErrorCode, RequestOp, TxnRequest } from "@etcd-ts/api";
import { choosePath } from "./compares.ts";
import type { RangeJob, ReadJob } from "./job.ts";
import { checkPut, checkRange, newRange, runDelete, runPut } from "./operations.ts";
import { NoResult, type OpResult, TxnResult } from "./results.ts";
import type { Store } from "./store.ts";

/** Items of ranges that one transaction reads at once; the rest waits for the slicer. */
const itemsAtOnce = 1000;

export interface TxnOutcome {
  readonly error: ErrorCode | undefined;
  readonly result: TxnResult | undefined;
  readonly pending: ReadJob | undefined;
}

/**
 * Runs a transaction in the open transaction of the store. Without `wanted` ranges and previous values
 * are not read.
 */
export function runTxn(store: Store, request: TxnRequest, wanted: boolean): TxnOutcome {
  const path = choosePath(store, request);
  const error = new PathWalk(path).check(store, request);
  if (error !== undefined) return { error, result: undefined, pending: undefined };
  const run = new Run(store, path, wanted);
  const result = run.run(request, true);
  return { error: undefined, result, pending: run.pending };
}

/** The refusal of a transaction if it ran now. */
export function checkTxn(store: Store, request: TxnRequest): ErrorCode | undefined {
  return new PathWalk(choosePath(store, request)).check(store, request);
}

class PathWalk {
  readonly #path: readonly boolean[];
  #place = 0;

  constructor(path: readonly boolean[]) {
    this.#path = path;
  }

  /** The branch that the next transaction in preorder takes. */
  branch(request: TxnRequest): readonly RequestOp[] {
    return this.#path[this.#place++] ? request.success : request.failure;
  }

  check(store: Store, request: TxnRequest): ErrorCode | undefined {
    for (const op of this.branch(request)) {
      let error: ErrorCode | undefined;
      if (op.requestRange !== undefined) {
        // Inside a transaction a negative revision is not the newest, but one that is compacted away.
        error = checkRange(store, Number(op.requestRange.revision));
      } else if (op.requestPut !== undefined) error = checkPut(store, op.requestPut);
      else if (op.requestTxn !== undefined) error = this.check(store, op.requestTxn);
      if (error !== undefined) return error;
    }
    return undefined;
  }
}

class Run {
  readonly #store: Store;
  readonly #walk: PathWalk;
  readonly #path: readonly boolean[];
  readonly #wanted: boolean;
  #txnCount = 0;
  #itemsLeft = itemsAtOnce;
  #pending: PendingRanges | undefined = undefined;

  constructor(store: Store, path: readonly boolean[], wanted: boolean) {
    this.#store = store;
    this.#path = path;
    this.#walk = new PathWalk(path);
    this.#wanted = wanted;
  }

  get pending(): ReadJob | undefined {
    return this.#pending;
  }

  run(request: TxnRequest, isTop: boolean): TxnResult {
    const succeeded = this.#path[this.#txnCount++]!;
    const responses: OpResult[] = [];
    for (const op of this.#walk.branch(request)) {
      if (op.requestRange !== undefined) this.#range(op.requestRange, responses);
      else if (op.requestPut !== undefined) {
        responses.push(runPut(this.#store, op.requestPut, this.#wanted));
      } else if (op.requestDeleteRange !== undefined) {
        responses.push(runDelete(this.#store, op.requestDeleteRange, this.#wanted));
      } else if (op.requestTxn !== undefined) responses.push(this.run(op.requestTxn, false));
      else responses.push(new NoResult(0));
    }
    return new TxnResult(isTop ? this.#store.openRevision : 0, succeeded, responses);
  }

  #range(request: Parameters<typeof newRange>[1], responses: OpResult[]): void {
    if (!this.#wanted) return;
    const job = newRange(this.#store, request);
    if (job.step(this.#itemsLeft)) {
      responses.push(job.result);
      this.#itemsLeft -= Math.min(this.#itemsLeft, job.result.kvs.count + 1);
    } else {
      this.#itemsLeft = 0;
      this.#pending ??= new PendingRanges();
      this.#pending.add(job, responses, responses.push(new NoResult(0)) - 1);
    }
  }
}

/** Ranges of a transaction that are still being read, each with the place of its answer. */
class PendingRanges implements ReadJob {
  readonly #ranges: { job: RangeJob; responses: OpResult[]; place: number }[] = [];

  add(job: RangeJob, responses: OpResult[], place: number): void {
    this.#ranges.push({ job, responses, place });
  }

  #error: ErrorCode | undefined = undefined;

  get done(): boolean {
    return this.#ranges.length === 0;
  }

  get error(): ErrorCode | undefined {
    return this.#error;
  }

  step(itemCount: number): boolean {
    const range = this.#ranges[0];
    if (range?.job.step(itemCount)) {
      if (range.job.error !== undefined) {
        this.#error = range.job.error;
        this.cancel();
        return true;
      }
      range.responses[range.place] = range.job.result;
      this.#ranges.shift();
    }
    return this.done;
  }

  cancel(): void {
    for (const { job } of this.#ranges) job.cancel();
    this.#ranges.length = 0;
  }
}
