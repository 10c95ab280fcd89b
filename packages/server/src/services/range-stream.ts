// RangeStream: a range in chunks, each a read of its own at the revision of the first. The size of a chunk
// in keys follows the size in bytes of the one before: it starts at 10, doubles while chunks are below half
// of `--max-request-bytes` and is halved above twice of it. The next chunk is read when the client has taken
// the last one.

import {
  decodeKeyValue,
  decodeRangeRequest,
  type RangeRequest,
  SortOrder,
  SortTarget,
} from "@etcd-ts/api";
import { type Bytes, bytesToKey, copyBytes, keyAfter, keyToBytes } from "@etcd-ts/base";
import {
  encodeRangeStreamChunk,
  encodeRangeStreamEnd,
  type RangeJob,
  RangeResult,
} from "@etcd-ts/machine";
import type { CallWork, ServerCall, StreamHandler } from "@etcd-ts/rpc";
import { catalogue, refusalOf } from "../errors.ts";
import { Reader } from "../reads.ts";
import type { Refusal } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";
import type { RunningJob } from "../slicer.ts";
import { checkRange } from "./kv-checks.ts";
import { refuse } from "./unary.ts";

const firstChunkKeys = 10;

export class RangeStreams {
  readonly #context: MemberContext;

  constructor(context: MemberContext) {
    this.#context = context;
  }

  open(call: ServerCall): StreamHandler {
    let stream: RangeStream | undefined;
    return {
      onMessage: (message) => {
        if (stream !== undefined) return;
        const request = decodeRangeRequest(message);
        const refusal = checkRange(request) ?? checkStream(request);
        if (refusal !== undefined) {
          refuse(call, refusal);
          return;
        }
        stream = new RangeStream(this.#context, call, request);
        if (request.serializable) stream.ready();
        else this.#context.linearize(stream);
      },
      onHalfClose() {},
      onCancel: () => stream?.cancel(),
      onDrain: () => stream?.drained(),
    };
  }
}

function checkStream(request: RangeRequest): Refusal | undefined {
  const { sortOrder, sortTarget } = request;
  const isDefault =
    sortOrder === SortOrder.NONE ||
    (sortOrder === SortOrder.ASCEND && sortTarget === SortTarget.KEY);
  if (!isDefault) return catalogue.rangeStreamSortOrder;
  const isFiltered =
    request.minModRevision !== 0n ||
    request.maxModRevision !== 0n ||
    request.minCreateRevision !== 0n ||
    request.maxCreateRevision !== 0n;
  return isFiltered ? catalogue.rangeStreamFilter : undefined;
}

class RangeStream extends Reader implements CallWork {
  readonly #context: MemberContext;
  readonly #call: ServerCall;
  /** Changed from chunk to chunk: where it begins, how many keys, and at which revision. */
  readonly #request: RangeRequest;
  /** Keys still wanted; 0 without a limit. */
  #left: number;
  readonly #limited: boolean;
  #chunkKeys = firstChunkKeys;
  #sent = 0;
  /** Store revision when the first chunk was read; 0 before. */
  #headerRevision = 0;
  #job: RangeJob | undefined;
  #running: RunningJob | undefined;
  #waitsForDrain = false;

  constructor(context: MemberContext, call: ServerCall, request: RangeRequest) {
    super();
    this.#context = context;
    this.#call = call;
    this.#request = request;
    this.#limited = request.limit > 0n;
    this.#left = this.#limited ? Number(request.limit) : 0;
  }

  override ready(): void {
    if (!this.#call.admit("stream", this)) this.#keepOnlyOwnBytes();
  }

  /** There is room for the next chunk. */
  begin(): void {
    this.#nextChunk();
  }

  /** The request is a view of a socket's chunk, which need not live as long as we wait. */
  #keepOnlyOwnBytes(): void {
    this.#request.key = copyBytes(this.#request.key);
    this.#request.rangeEnd = copyBytes(this.#request.rangeEnd);
  }

  override refused(refusal: Refusal): void {
    refuse(this.#call, refusal);
  }

  cancel(): void {
    this.#running?.cancel();
    this.#job?.cancel();
  }

  drained(): void {
    if (!this.#waitsForDrain) return;
    this.#waitsForDrain = false;
    this.#call.admit("stream", this);
  }

  #nextChunk(): void {
    if (this.#call.ended) return;
    const keys = this.#limited ? Math.min(this.#chunkKeys, this.#left) : this.#chunkKeys;
    this.#request.limit = this.#request.countOnly ? 0n : BigInt(keys);
    const job = this.#context.machine.range(this.#request);
    if (job.error !== undefined) {
      refuse(this.#call, refusalOf(job.error));
      return;
    }
    this.#job = job;
    // Always through the slicer: a stream of many small chunks must let others in between.
    this.#running = this.#context.slicer.run(job, {
      done: () => this.#chunkRead(job, keys),
      failed: this.#context.fatal,
    });
  }

  #chunkRead(job: RangeJob, keys: number): void {
    if (this.#call.ended) return;
    if (job.error !== undefined) {
      // A received snapshot took the place of what was being read.
      refuse(this.#call, refusalOf(job.error));
      return;
    }
    const { result } = job;
    if (this.#headerRevision === 0) {
      this.#headerRevision = result.revision;
      if (this.#request.revision === 0n) this.#request.revision = BigInt(result.revision);
    }
    this.#sent += result.kvs.count;
    if (this.#limited) this.#left -= result.kvs.count;
    const isLast = !result.more || (this.#limited && this.#left === 0);
    if (isLast) {
      const rest = result.count - result.kvs.count;
      const count = this.#request.countOnly ? result.count : this.#sent + rest;
      const last = new RangeResult(this.#headerRevision, result.kvs, result.more, count);
      const { encoder, raftTerm } = this.#context;
      this.#call.respond(encodeRangeStreamEnd(encoder, raftTerm, last));
      return;
    }
    this.#adapt(result.kvs.byteLength, keys);
    this.#request.key = keyBehind(result);
    if (this.#call.send(encodeRangeStreamChunk(result))) this.#nextChunk();
    else this.#waitsForDrain = true;
  }

  #adapt(bytes: number, keys: number): void {
    const wanted = this.#context.config.maxRequestBytes;
    if (bytes < wanted / 2) this.#chunkKeys = keys * 2;
    else if (bytes > wanted * 2) this.#chunkKeys = Math.max(1, Math.floor(keys / 2));
    else this.#chunkKeys = keys;
  }
}

/** The first key that may follow the last one of a chunk. */
function keyBehind(chunk: RangeResult): Bytes {
  const { key } = decodeKeyValue(chunk.kvs.toArray().at(-1)!);
  return keyToBytes(keyAfter(bytesToKey(key)));
}
