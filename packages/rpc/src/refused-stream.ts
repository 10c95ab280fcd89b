/** A request that was answered by the transport itself; what still comes of it is dropped. */

import { Http2Stream } from "./http2-stream.ts";

export class RefusedStream extends Http2Stream {
  override receiveData(): void {}
  override onGone(): void {}
  override onQueueEmpty(): void {}
  override onDrained(): void {}
  override onResumed(): void {}
}
