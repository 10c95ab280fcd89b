// The KV service. Writes: check, put the request's own bytes into the log, answer when it is applied. Reads:
// wait until they are linearizable (or not, when serializable), then read; what does not fit into one short
// slice goes on in the slicer.
//
// A request enters the log as the client sent it when it is canonical, and encoded anew otherwise, so nothing
// that a stock member could stumble over ever gets there: unknown fields, doubled fields, odd varints. The
// test is exact: a canonical encoding is the shortest of its content, and a message of the same length can
// only differ in the order of its fields.
//
// Whatever may have a large answer asks for admission before it begins (`ServerCall.admit`), so a client that
// does not read its answers gets no further ones made.

import {
  CompactionResponse,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  encodeCompactionRequest,
  encodeCompactionResponse,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeTxnRequest,
  type RangeRequest,
  sizeDeleteRangeRequest,
  sizePutRequest,
  sizeTxnRequest,
  type TxnRequest,
} from "@etcd-ts/api";
import { type Bytes, copyBytes } from "@etcd-ts/base";
import {
  type ApplyOutcome,
  type ApplyResult,
  type DeleteResult,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  type PutResult,
  type RangeJob,
  type TxnResult,
} from "@etcd-ts/machine";
import type { CallWork, MethodTable, ServerCall } from "@etcd-ts/rpc";
import { Operation } from "../envelope.ts";
import { catalogue, refusalOf } from "../errors.ts";
import { responseHeader } from "../header.ts";
import { putCostBytes } from "../quota.ts";
import type { Refusal } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isReadOnlyTxn,
  isSerializableTxn,
  readsRevision,
  txnCostBytes,
} from "./kv-checks.ts";
import { scanPlainPut } from "./put-scan.ts";
import { RangeStreams } from "./range-stream.ts";
import { decodeRequest, refuse, UnaryProposal, UnaryReader } from "./unary.ts";

/** Items that a read may take at once before it goes to the slicer: about 0.2 ms. */
const itemsAtOnce = 128;

export class KvService {
  readonly methods: MethodTable;
  readonly #context: MemberContext;

  constructor(context: MemberContext) {
    this.#context = context;
    const { gate } = context;
    const streams = new RangeStreams(context);
    const at = "/etcdserverpb.KV/";
    this.methods = {
      [`${at}Range`]: gate.unary((call, m) => this.#range(call, m), isSerializableRange),
      [`${at}RangeStream`]: gate.stream("server_stream", (call) => streams.open(call)),
      [`${at}Put`]: gate.unary((call, m) => this.#put(call, m)),
      [`${at}DeleteRange`]: gate.unary((call, m) => this.#deleteRange(call, m)),
      [`${at}Txn`]: gate.unary((call, m) => this.#txn(call, m)),
      [`${at}Compact`]: gate.unary((call, m) => this.#compact(call, m)),
    };
  }

  #range(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeRangeRequest);
    if (request === undefined) return;
    const refusal = checkRange(request);
    if (refusal !== undefined) {
      refuse(call, refusal);
      return;
    }
    const reader = new RangeReader(this.#context, call, request);
    if (request.serializable) reader.ready();
    else this.#context.linearize(reader);
  }

  #put(call: ServerCall, message: Uint8Array): void {
    const context = this.#context;
    const size = scanPlainPut(message);
    if (size < 0) {
      this.#unusualPut(call, message);
      return;
    }
    if (!context.admits(putCostBytes + size)) {
      refuse(call, catalogue.noSpace);
      return;
    }
    context.propose(Operation.put, message, new PutProposal(context, call));
  }

  #unusualPut(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodePutRequest);
    if (request === undefined) return;
    const cost = putCostBytes + request.key.length + request.value.length;
    if (!this.#admits(call, cost)) return;
    const refusal = checkPut(request);
    if (refusal !== undefined) {
      refuse(call, refusal);
      return;
    }
    const body = sizePutRequest(request) === message.length ? message : encodePutRequest(request);
    const proposal = new PutProposal(this.#context, call);
    if (request.prevKv) proposeAdmitted(Operation.put, body, proposal);
    else this.#context.propose(Operation.put, body, proposal);
  }

  #deleteRange(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeDeleteRangeRequest);
    if (request === undefined) return;
    const refusal = checkDeleteRange(request);
    if (refusal !== undefined) {
      refuse(call, refusal);
      return;
    }
    const isCanonical = sizeDeleteRangeRequest(request) === message.length;
    const body = isCanonical ? message : encodeDeleteRangeRequest(request);
    const proposal = new DeleteProposal(this.#context, call);
    if (request.prevKv) proposeAdmitted(Operation.deleteRange, body, proposal);
    else this.#context.propose(Operation.deleteRange, body, proposal);
  }

  #txn(call: ServerCall, message: Uint8Array): void {
    const context = this.#context;
    const request = decodeRequest(call, message, decodeTxnRequest);
    if (request === undefined) return;
    if (!this.#admits(call, txnCostBytes(request))) return;
    const refusal = checkTxn(request, context.config.maxTxnOps);
    if (refusal !== undefined) {
      refuse(call, refusal);
      return;
    }
    if (isReadOnlyTxn(request)) {
      const reader = new TxnReader(context, call, request);
      if (isSerializableTxn(request)) reader.ready();
      else context.linearize(reader);
      return;
    }
    const body = sizeTxnRequest(request) === message.length ? message : encodeTxnRequest(request);
    const proposal = new TxnProposal(context, call);
    proposal.txn = request;
    if (answerSize(request) === "small") context.propose(Operation.txn, body, proposal);
    else if (!readsRevision(request)) proposeAdmitted(Operation.txn, body, proposal);
    else context.linearize(new TxnCheck(proposal, request, copyBytes(body)));
  }

  #compact(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeCompactionRequest);
    if (request === undefined) return;
    const body = encodeCompactionRequest(request);
    const proposal = new CompactProposal(this.#context, call, request.physical);
    this.#context.propose(Operation.compaction, body, proposal);
  }

  #admits(call: ServerCall, costBytes: number): boolean {
    if (this.#context.admits(costBytes)) return true;
    refuse(call, catalogue.noSpace);
    return false;
  }
}

class PutProposal extends UnaryProposal {
  override answer(result: ApplyResult): void {
    this.call.respond(
      encodePutResponse(this.context.encoder, this.context.raftTerm, result as PutResult),
    );
  }
}

class DeleteProposal extends UnaryProposal {
  override answer(result: ApplyResult): void {
    this.call.respond(
      encodeDeleteRangeResponse(
        this.context.encoder,
        this.context.raftTerm,
        result as DeleteResult,
      ),
    );
  }
}

class TxnProposal extends UnaryProposal {
  override answer(result: ApplyResult): void {
    this.call.respond(
      encodeTxnResponse(this.context.encoder, this.context.raftTerm, result as TxnResult),
    );
  }
}

/**
 * A transaction that would be refused for the revision of a range must not enter the log: stock members other
 * than the one that proposed it would carry its writes out. What has been compacted or written is only known
 * for certain once this member has caught up.
 */
class TxnCheck extends UnaryReader {
  readonly #proposal: UnaryProposal;
  readonly #request: TxnRequest;
  readonly #body: Bytes;

  constructor(proposal: UnaryProposal, request: TxnRequest, body: Bytes) {
    super(proposal.context, proposal.call);
    this.#proposal = proposal;
    this.#request = request;
    this.#body = body;
  }

  override ready(): void {
    if (this.call.ended) return;
    const error = this.context.machine.txnRefusal(this.#request);
    if (error === undefined) proposeAdmitted(Operation.txn, this.#body, this.#proposal);
    else refuse(this.call, refusalOf(error));
  }
}

/**
 * A physical compaction is answered when the removal is done and durable; one that came too late for its
 * revision waits for the removals before it all the same.
 */
class CompactProposal extends UnaryProposal {
  readonly #physical: boolean;

  constructor(context: MemberContext, call: ServerCall, physical: boolean) {
    super(context, call);
    this.#physical = physical;
  }

  override applied(outcome: ApplyOutcome): void {
    if (!this.#physical) {
      super.applied(outcome);
      return;
    }
    this.context.afterCompactions((durable) => {
      if (durable) super.applied(outcome);
      else this.refused(catalogue.stopped);
    });
  }

  override answer(result: ApplyResult): void {
    this.call.respond(compactionMessage(this.context, result.revision));
  }
}

class RangeReader extends UnaryReader implements CallWork {
  readonly #request: RangeRequest;

  constructor(context: MemberContext, call: ServerCall, request: RangeRequest) {
    super(context, call);
    this.#request = request;
  }

  override ready(): void {
    const request = this.#request;
    const isLong = request.rangeEnd.length > 0 && !request.countOnly;
    if (this.call.admit(isLong ? "long" : "answer", this)) return;
    // Views of a socket's chunk, which need not live as long as this waits.
    request.key = copyBytes(request.key);
    request.rangeEnd = copyBytes(request.rangeEnd);
  }

  begin(): void {
    const { context, call } = this;
    if (call.ended) return;
    const job = context.machine.range(this.#request, itemsAtOnce);
    if (job.error !== undefined) this.refused(refusalOf(job.error));
    else if (job.done) this.#answer(job);
    else context.runForCall(call, job, () => this.#answer(job));
  }

  override refused(refusal: Refusal): void {
    this.context.times.read("Range", this.call.startedMs, false);
    super.refused(refusal);
  }

  #answer(job: RangeJob): void {
    const { encoder, raftTerm, times } = this.context;
    times.read("Range", this.call.startedMs, true);
    this.call.respond(encodeRangeResponse(encoder, raftTerm, job.result));
  }
}

class TxnReader extends UnaryReader implements CallWork {
  readonly #request: TxnRequest;

  constructor(context: MemberContext, call: ServerCall, request: TxnRequest) {
    super(context, call);
    this.#request = request;
  }

  override ready(): void {
    this.call.admit(answerSize(this.#request) === "long" ? "long" : "answer", this);
  }

  begin(): void {
    const { context, call } = this;
    if (call.ended) return;
    const { error, result, pending } = context.machine.txnReadOnly(this.#request);
    if (error !== undefined) this.refused(refusalOf(error));
    else if (pending === undefined) this.#answer(result as TxnResult);
    else context.runForCall(call, pending, () => this.#answer(result as TxnResult));
  }

  override refused(refusal: Refusal): void {
    this.context.times.read("ReadonlyTxn", this.call.startedMs, false);
    super.refused(refusal);
  }

  #answer(result: TxnResult): void {
    const { encoder, raftTerm, times } = this.context;
    times.read("ReadonlyTxn", this.call.startedMs, true);
    this.call.respond(encodeTxnResponse(encoder, raftTerm, result));
  }
}

/** A write whose answer may be large: proposed when there is room for it. */
class AdmittedProposal implements CallWork {
  readonly #operation: Operation;
  readonly #proposal: UnaryProposal;
  body: Bytes;

  constructor(operation: Operation, body: Bytes, proposal: UnaryProposal) {
    this.#operation = operation;
    this.body = body;
    this.#proposal = proposal;
  }

  begin(): void {
    this.#proposal.context.propose(this.#operation, this.body, this.#proposal);
  }
}

function proposeAdmitted(operation: Operation, body: Bytes, proposal: UnaryProposal): void {
  const work = new AdmittedProposal(operation, body, proposal);
  if (!proposal.call.admit("answer", work)) work.body = copyBytes(body);
}

/** What the answer of a transaction may be: nothing but counts, some KeyValues, or ranges of them. */
function answerSize(request: TxnRequest): "small" | "some" | "long" {
  let size: "small" | "some" = "small";
  for (const branch of [request.success, request.failure]) {
    for (const { requestRange, requestPut, requestDeleteRange, requestTxn } of branch) {
      if (requestRange !== undefined) {
        if (requestRange.rangeEnd.length > 0 && !requestRange.countOnly) return "long";
        size = "some";
      } else if (requestTxn !== undefined) {
        const inner = answerSize(requestTxn);
        if (inner === "long") return inner;
        if (inner === "some") size = inner;
      } else if (requestPut?.prevKv === true || requestDeleteRange?.prevKv === true) size = "some";
    }
  }
  return size;
}

function compactionMessage(context: MemberContext, revision: number): Uint8Array {
  const response = new CompactionResponse();
  response.header = responseHeader(context.header, revision);
  return encodeCompactionResponse(response);
}

/** What a learner serves. An undecodable request goes on to the handler, which says what is wrong with it. */
function isSerializableRange(message: Uint8Array): boolean {
  try {
    return decodeRangeRequest(message).serializable;
  } catch {
    return true;
  }
}
