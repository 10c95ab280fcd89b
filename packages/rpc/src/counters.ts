// Counters are plain numbers on plain objects; whoever exports metrics reads them when asked.

/** Of a whole server, or of a whole client channel. */
export class TransportCounters {
  connectionsOpened = 0;
  connectionsOpen = 0;
  streamsOpened = 0;
  streamsOpen = 0;
  messagesReceived = 0;
  messagesSent = 0;
  /** Encoded bytes of messages, without framing. */
  messageBytesReceived = 0;
  messageBytesSent = 0;
  /** Bytes on the connections. */
  bytesReceived = 0;
  bytesSent = 0;
  /** Calls of the host's `write`. */
  writes = 0;
  pingsReceived = 0;
  resetsReceived = 0;
  resetsSent = 0;
  goawaysReceived = 0;
  goawaysSent = 0;
  /** Connections that ended because the other side broke the protocol or a limit. */
  connectionErrors = 0;
  deadlinesExceeded = 0;
}

export type CallType = "unary" | "client_stream" | "server_stream" | "bidi_stream";

/** Of one method of a server. */
export class MethodStats {
  /** `/package.Service/Method` */
  readonly path: string;
  /** `package.Service` */
  readonly service: string;
  readonly method: string;
  readonly type: CallType;
  started = 0;
  messagesReceived = 0;
  messagesSent = 0;
  /** Ended calls by status code, 0 to 16. */
  readonly handled: number[] = new Array<number>(17).fill(0);

  constructor(path: string, type: CallType) {
    this.path = path;
    const slash = path.lastIndexOf("/");
    this.service = path.slice(path.startsWith("/") ? 1 : 0, slash);
    this.method = path.slice(slash + 1);
    this.type = type;
  }
}
