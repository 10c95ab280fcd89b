// One message per request: POST /raft. The way for messages while a stream is down, and the only one to
// members that are known by their URLs alone. A message may arrive twice, which raft does not mind, but for
// proposals: one that is in the log twice would be applied twice, and undo what others wrote between.

import { bytesToUtf8 } from "@etcd-ts/base";
import { encodeMessage, type Message, MessageType } from "@etcd-ts/raft";
import type { WholeResponse } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { Agents, idleMs, type LinkContext, ownFields, pipelinePath } from "./link-context.ts";
import type { PeerUrl, UrlPicker } from "./peer-url.ts";

const queueCountMax = 64;
const workerCount = 4;
const answerBytesMax = 64 * 1024;

/** Told how posts end. */
export interface PipelineObserver {
  delivered(): void;
  failed(reason: string): void;
}

export class Pipeline {
  readonly #context: LinkContext;
  readonly #peerId: bigint;
  readonly #urls: UrlPicker;
  readonly #observer: PipelineObserver;
  readonly #agents: Agents;
  /** For what must not arrive twice. */
  readonly #onceAgents: Agents;
  readonly #queue: Message[] = [];
  #activeCount = 0;
  #scheduled = false;
  #stopped = false;

  constructor(context: LinkContext, peerId: bigint, urls: UrlPicker, observer: PipelineObserver) {
    this.#context = context;
    this.#peerId = peerId;
    this.#urls = urls;
    this.#observer = observer;
    this.#agents = new Agents(context);
    this.#onceAgents = new Agents(context, 0);
  }

  /** False: there is no room for it. */
  send(message: Message): boolean {
    if (this.#stopped || this.#queue.length >= queueCountMax) return false;
    this.#queue.push(message);
    if (!this.#scheduled && this.#activeCount < workerCount) {
      this.#scheduled = true;
      this.#context.host.timers.soon(() => {
        this.#scheduled = false;
        this.#work();
      });
    }
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
    this.#agents.stop();
    this.#onceAgents.stop();
  }

  #work(): void {
    while (this.#activeCount < workerCount && !this.#stopped) {
      const message = this.#queue.shift();
      if (message === undefined) return;
      this.#post(message);
    }
  }

  #post(message: Message): void {
    const url = this.#urls.pick();
    if (url === undefined) {
      this.#observer.failed("no URL to send to");
      return;
    }
    const body = encodeMessage(message);
    this.#activeCount++;
    const agents = message.type === MessageType.MsgProp ? this.#onceAgents : this.#agents;
    agents.of(url).request(
      {
        method: "POST",
        target: pipelinePath,
        fields: [["Content-Type", "application/protobuf"], ...ownFields(this.#context)],
        body,
        timeoutMs: this.#context.dialTimeoutMs + idleMs,
        responseBytesMax: answerBytesMax,
      },
      (response, error) => {
        this.#activeCount--;
        if (this.#stopped) return;
        this.#judge(url, body.length, response, error);
        this.#work();
      },
    );
  }

  #judge(
    url: PeerUrl,
    bytes: number,
    response: WholeResponse | undefined,
    error: Error | undefined,
  ): void {
    if (response === undefined) {
      this.#urls.failed(url);
      this.#observer.failed(error?.message ?? "no answer");
    } else if (response.status === 204 || response.status === 200) {
      this.#context.metrics.sentBytes.add(bytes, hexId(this.#peerId));
      this.#observer.delivered();
    } else {
      const text = bytesToUtf8(response.body.subarray(0, 200)).trim();
      // A member that takes us for somebody else says 403 as well; that is no reason to give up.
      if (response.status === 403 && text.includes("removed member")) this.#context.removed();
      else if (response.status !== 412) this.#urls.failed(url);
      this.#observer.failed(`unexpected http status ${response.status} (${text})`);
    }
  }
}
