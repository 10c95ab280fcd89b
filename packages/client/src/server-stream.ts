// A stream of answers as an async iterable: the server is held back while the consumer is busy, and the call
// ends when the consumer stops.

import type { Bytes } from "@etcd-ts/base";
import type { ClientStream, RpcError } from "@etcd-ts/rpc";
import { toClientError } from "./errors.ts";
import type { CallOptions } from "./options.ts";
import type { Transport } from "./transport.ts";

/** Messages that may wait for the consumer before the server is held back. */
const waitingMax = 4;

/**
 * Sends one request and yields the answers. A stream that broke is not opened again, since its first answers
 * have been handed out already. Rejects as unary calls do.
 */
export async function* serverStream<Response>(
  transport: Transport,
  path: string,
  request: Bytes,
  decode: (bytes: Bytes) => Response,
  options: CallOptions,
): AsyncGenerator<Response, void, void> {
  const waiting: Bytes[] = [];
  let ended = false;
  let failure: RpcError | undefined;
  let wake: (() => void) | undefined;
  let stream: ClientStream | undefined;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  const { signal } = options;
  const opened = await transport.openStream(
    path,
    {
      onMessage: (message) => {
        waiting.push(message);
        if (waiting.length >= waitingMax) stream?.pause();
        notify();
      },
      onEnd: (error) => {
        ended = true;
        failure = error;
        notify();
      },
    },
    { signal, timeoutMs: options.timeoutMs },
  );
  stream = opened.stream;
  stream.send(request);
  stream.closeSend();
  try {
    for (;;) {
      const message = waiting.shift();
      if (message !== undefined) {
        if (waiting.length === 0) stream.resume();
        yield decode(message);
      } else if (!ended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else {
        if (failure === undefined) return;
        if (signal?.aborted) throw signal.reason;
        throw toClientError(failure);
      }
    }
  } finally {
    stream.cancel();
  }
}
