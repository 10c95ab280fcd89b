import { encodeTxnRequest, RequestOp, TxnRequest } from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import { openChannel, type Target } from "./connections.ts";
import { paths, putOf } from "./requests.ts";

const perTxn = 100;
const inFlight = 16;

export interface PreloadOptions {
  readonly value?: Bytes;
  readonly progress?: (done: number) => void;
}

/** Puts keys 0 to `count`, 100 to a transaction. */
export async function preload(
  target: Target,
  count: number,
  options: PreloadOptions = {},
): Promise<void> {
  const channel = openChannel(target.endpoints[0] as string, target.trustedCaPem);
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const txn = new TxnRequest();
      for (const end = Math.min(next + perTxn, count); next < end; next++) {
        const op = new RequestOp();
        op.requestPut = putOf(next, options.value);
        txn.success.push(op);
      }
      const size = txn.success.length;
      await channel.unary(paths.txn, encodeTxnRequest(txn), { waitForReady: true });
      done += size;
      options.progress?.(done);
    }
  };
  try {
    await Promise.all(Array.from({ length: inFlight }, worker));
  } finally {
    channel.close();
  }
}
