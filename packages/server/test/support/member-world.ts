// A member in a world, with the calls that tests make of it.

import {
  CompactionRequest,
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
  type PutResponse,
  RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import { DurableCell, MemoryBackend } from "@etcd-ts/storage";
import { Member, type MemberOptions } from "../../src/index.ts";
import { type FakeCall, startUnary } from "./calls.ts";
import { World } from "./world.ts";

export const defaultOptions: MemberOptions = {
  name: "default",
  dataDir: "/data",
  initialCluster: [{ name: "default", peerUrls: ["http://127.0.0.1:2380"] }],
  initialAdvertisePeerUrls: ["http://127.0.0.1:2380"],
  advertiseClientUrls: ["http://127.0.0.1:2379"],
};

export class CallError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** One member whose disk and backend survive its lives. */
export class MemberWorld {
  readonly world: World;
  cell: DurableCell = new DurableCell();
  readonly options: MemberOptions;
  member!: Member;
  failure: Error | undefined;

  constructor(options: Partial<MemberOptions> = {}, world: World = new World()) {
    this.world = world;
    this.options = { ...defaultOptions, ...options };
  }

  static async started(options: Partial<MemberOptions> = {}): Promise<MemberWorld> {
    const world = new MemberWorld(options);
    await world.start();
    return world;
  }

  /** Begins a life without waiting for it. */
  open(): Promise<Member> {
    const host = this.world.host();
    this.failure = undefined;
    return Member.open({
      host,
      options: this.options,
      openBackend: async () =>
        new MemoryBackend({ timers: host.timers, cell: this.cell, commitDelayMs: 1 }),
      onFailed: (error) => {
        this.failure = error;
      },
    });
  }

  async start(): Promise<Member> {
    this.member = await this.world.settled(this.open());
    await this.world.settled(this.member.ready());
    return this.member;
  }

  async stop(): Promise<void> {
    await this.world.settled(this.member.stop());
  }

  /** Power loss: nothing but what is durable survives. */
  crash(): void {
    this.world.kill();
    this.world.disk.crash();
    this.cell.crash();
  }

  begin(path: string, message: Uint8Array, headers: Record<string, string> = {}): FakeCall {
    return startUnary(this.member.methods, path, message, headers);
  }

  async answer(call: FakeCall): Promise<Uint8Array> {
    await this.world.until(() => call.ended);
    if (call.error !== undefined) throw new CallError(call.error.code, call.error.message);
    return call.response!;
  }

  async call(
    path: string,
    message: Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<Uint8Array> {
    return this.answer(this.begin(path, message, headers));
  }

  beginPut(key: string, value: string, change: (request: PutRequest) => void = () => {}): FakeCall {
    const request = new PutRequest();
    request.key = utf8ToBytes(key);
    request.value = utf8ToBytes(value);
    change(request);
    return this.begin("/etcdserverpb.KV/Put", encodePutRequest(request));
  }

  async put(
    key: string,
    value: string,
    change: (request: PutRequest) => void = () => {},
  ): Promise<PutResponse> {
    return decodePutResponse(await this.answer(this.beginPut(key, value, change)));
  }

  async range(
    key: string,
    change: (request: RangeRequest) => void = () => {},
  ): Promise<RangeResponse> {
    const request = new RangeRequest();
    request.key = utf8ToBytes(key);
    change(request);
    return decodeRangeResponse(
      await this.call("/etcdserverpb.KV/Range", encodeRangeRequest(request)),
    );
  }

  async get(key: string): Promise<string | undefined> {
    const { kvs } = await this.range(key);
    return kvs[0] === undefined ? undefined : Buffer.from(kvs[0].value).toString();
  }

  async delete(key: string, rangeEnd = ""): Promise<number> {
    const request = new DeleteRangeRequest();
    request.key = utf8ToBytes(key);
    request.rangeEnd = Buffer.from(rangeEnd, "latin1");
    const bytes = await this.call(
      "/etcdserverpb.KV/DeleteRange",
      encodeDeleteRangeRequest(request),
    );
    return Number(decodeDeleteRangeResponse(bytes).deleted);
  }

  async txn(request: TxnRequest): Promise<TxnResponse> {
    return decodeTxnResponse(await this.call("/etcdserverpb.KV/Txn", encodeTxnRequest(request)));
  }

  async compact(revision: number, physical = false): Promise<number> {
    const request = new CompactionRequest();
    request.revision = BigInt(revision);
    request.physical = physical;
    const bytes = await this.call("/etcdserverpb.KV/Compact", encodeCompactionRequest(request));
    return decodeCompactionResponse(bytes).header!.revision;
  }
}
