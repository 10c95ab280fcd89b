// The usual way of a unary call through the log: one object that waits, and answers with what its subclass
// makes of the result.

import type { ApplyOutcome, ApplyResult } from "@etcd-ts/machine";
import type { ServerCall } from "@etcd-ts/rpc";
import { refusalOf } from "../errors.ts";
import { Proposal } from "../proposals.ts";
import { Reader } from "../reads.ts";
import { type Refusal, undecodable } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";

export function refuse(call: ServerCall, refusal: Refusal): void {
  call.fail(refusal.code, refusal.message);
}

/** The decoded request; undefined when it was undecodable and the call has been told so. */
export function decodeRequest<T>(
  call: ServerCall,
  message: Uint8Array,
  decode: (bytes: Uint8Array) => T,
): T | undefined {
  try {
    return decode(message);
  } catch (error) {
    refuse(call, undecodable(error instanceof Error ? error.message : String(error)));
    return undefined;
  }
}

export abstract class UnaryProposal extends Proposal {
  readonly context: MemberContext;
  readonly call: ServerCall;

  constructor(context: MemberContext, call: ServerCall) {
    super();
    this.context = context;
    this.call = call;
  }

  override applied(outcome: ApplyOutcome): void {
    if (outcome.error !== undefined) refuse(this.call, refusalOf(outcome.error));
    else if (outcome.pending === undefined) this.answer(outcome.result!);
    else this.#answerLater(outcome);
  }

  override refused(refusal: Refusal): void {
    refuse(this.call, refusal);
  }

  abstract answer(result: ApplyResult): void;

  /** Long ranges inside a transaction are read in slices, when there is room; the answer follows. */
  #answerLater(outcome: ApplyOutcome): void {
    const job = outcome.pending!;
    const { call, context } = this;
    call.onCancel = () => job.cancel();
    if (call.ended) job.cancel();
    const begin = (): void => context.runForCall(call, job, () => this.answer(outcome.result!));
    call.admit("long", { begin });
  }
}

/** Waits until reads are linearizable, then reads. */
export abstract class UnaryReader extends Reader {
  readonly context: MemberContext;
  readonly call: ServerCall;

  constructor(context: MemberContext, call: ServerCall) {
    super();
    this.context = context;
    this.call = call;
  }

  override refused(refusal: Refusal): void {
    refuse(this.call, refusal);
  }
}
