// What the HTTP endpoints ask: the state of a member, and a read that proves that it works.

import { RangeRequest } from "@etcd-ts/api";
import { serverVersion } from "./config.ts";
import { catalogue } from "./errors.ts";
import type { HealthSource } from "./http-endpoints.ts";
import { Reader } from "./reads.ts";
import type { Refusal } from "./refusals.ts";
import type { MemberContext } from "./seams.ts";

export class MemberHealth implements HealthSource {
  readonly serverVersion: string = serverVersion;
  readonly #context: MemberContext;

  constructor(context: MemberContext) {
    this.#context = context;
  }

  get hasLeader(): boolean {
    return this.#context.leaderId !== 0n;
  }

  get isLearner(): boolean {
    const { machine, memberId } = this.#context;
    return machine.members.get(memberId)?.isLearner ?? false;
  }

  get clusterVersion(): string {
    return this.#context.machine.members.clusterVersion;
  }

  get storageVersion(): string {
    return this.#context.machine.storageVersion;
  }

  alarmKinds(): readonly number[] {
    return this.#context.machine.alarms.list().map((alarm) => alarm.kind);
  }

  probeRead(serializable: boolean): Promise<Refusal | undefined> {
    return new Promise((resolve) => {
      const probe = new Probe(this.#context, resolve);
      if (this.#context.isStopping) resolve(catalogue.stopped);
      else if (serializable) probe.ready();
      else this.#context.linearize(probe);
    });
  }
}

/** Reads the key of one zero byte, which is as good as any. */
class Probe extends Reader {
  readonly #context: MemberContext;
  readonly #done: (refusal: Refusal | undefined) => void;

  constructor(context: MemberContext, done: (refusal: Refusal | undefined) => void) {
    super();
    this.#context = context;
    this.#done = done;
  }

  override ready(): void {
    const request = new RangeRequest();
    request.key = new Uint8Array(1);
    request.keysOnly = true;
    request.limit = 1n;
    this.#context.machine.range(request);
    this.#done(undefined);
  }

  override refused(refusal: Refusal): void {
    this.#done(refusal);
  }
}
