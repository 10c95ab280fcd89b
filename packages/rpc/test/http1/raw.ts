// A raw byte stream against a server (or, the other way round, against a client) in the in-memory world.

import {
  type Bytes,
  bytesToUtf8,
  type ConnectionHandler,
  concatBytes,
  utf8ToBytes,
} from "@etcd-ts/base";
import {
  Http1Server,
  type Http1ServerOptions,
  type ServerExchange,
  type ServerExchangeHandler,
} from "../../src/http1/index.ts";
import type { MemoryConnection, World } from "../support/world.ts";

/** Keeps what came. */
export class Recorder implements ConnectionHandler {
  readonly parts: Bytes[] = [];
  ended = false;
  closed = false;
  error: Error | undefined;
  drains = 0;

  get text(): string {
    return bytesToUtf8(concatBytes([...this.parts, new Uint8Array(0)]));
  }

  onData(bytes: Bytes): void {
    this.parts.push(bytes);
  }
  onDrain(): void {
    this.drains++;
  }
  onEnd(): void {
    this.ended = true;
  }
  onClose(error: Error | undefined): void {
    this.closed = true;
    this.error = error;
  }
}

export interface Seen {
  readonly exchange: ServerExchange;
  body: string;
  ended: boolean;
  closed: boolean;
  error: Error | undefined;
  drains: number;
}

export interface Dialogue {
  readonly near: MemoryConnection;
  readonly answer: Recorder;
  readonly seen: Seen[];
  readonly server: Http1Server;
  say(text: string): Promise<string>;
}

export type React = (seen: Seen) => Partial<ServerExchangeHandler> | undefined;

/** A server in the world whose exchanges are noted; `react` decides what is answered. */
export function dialogue(
  world: World,
  react: React,
  options: Partial<Http1ServerOptions> = {},
): Dialogue {
  const seen: Seen[] = [];
  const server = new Http1Server({
    host: world.host,
    ...options,
    handle: (exchange) => {
      const note: Seen = {
        exchange,
        body: "",
        ended: false,
        closed: false,
        error: undefined,
        drains: 0,
      };
      seen.push(note);
      const more = react(note);
      return {
        onBody: (part) => {
          note.body += bytesToUtf8(part);
          more?.onBody?.(part);
        },
        onBodyEnd: () => {
          note.ended = true;
          more?.onBodyEnd?.();
        },
        onDrain: () => {
          note.drains++;
          more?.onDrain?.();
        },
        onClose: (error) => {
          note.closed = true;
          note.error = error;
          more?.onClose?.(error);
        },
      };
    },
  });
  const [near, far] = world.pair();
  const answer = new Recorder();
  near.handler = answer;
  far.handler = server.attach(far);
  return {
    near,
    answer,
    seen,
    server,
    say: async (text) => {
      near.write(utf8ToBytes(text));
      await world.settle();
      return answer.text;
    },
  };
}

/** Answers with what came. */
export const echo: React = (seen) => ({
  onBodyEnd: () => seen.exchange.respond(200, [], utf8ToBytes(seen.body)),
});
