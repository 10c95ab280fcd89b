// The two codecs of the streams between members.
//
// Message stream:   u64 length ‖ raftpb.Message
// Append stream ("msgappv2"), each frame begins with a type of one byte:
//     0   link heartbeat
//     1   u64 n ‖ n × ( u64 size ‖ raftpb.Entry ) ‖ u64 commit
//     2   u64 size ‖ raftpb.Message
//
// A type 1 frame is a MsgApp that goes on where the last one ended: both ends keep the term and the index of
// the last entry sent, and it is used when message, entries before it and stream agree on them.
//
// A stock member crashes on an entry that it cannot decode in an append stream. What we send comes from our
// own encoder; what we receive is bounded and checked, and anything wrong ends the stream and nothing else.

import { allocateBytes, type Bytes, emptyBytes, WireError } from "@etcd-ts/base";
import {
  decodeEntry,
  decodeMessage,
  type Entry,
  Message,
  MessageType,
  sizeEntry,
  sizeMessage,
  writeEntry,
  writeMessage,
} from "@etcd-ts/raft";
import { ByteQueue } from "./byte-queue.ts";
import { writeUint64 } from "./wire-numbers.ts";

export const frameBytesMax: number = 512 * 1024 * 1024;

/** The stream holds what no member sends; it has to be closed. */
export class StreamError extends Error {
  override readonly name = "StreamError";
}

export interface MessageEncoder {
  encode(message: Message): Bytes;
  readonly heartbeat: Bytes;
}

export interface MessageDecoder {
  /** Takes what arrived and hands out what is complete. Throws `StreamError`. */
  push(bytes: Bytes, take: (message: Message) => void): void;
}

// --- message stream -----------------------------------------------------------------------------------

/** A MsgHeartbeat from nobody to nobody in its shortest form, which all releases take. */
const linkHeartbeat: Bytes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2, 0x08, 0x08);

export class PlainEncoder implements MessageEncoder {
  readonly heartbeat: Bytes = linkHeartbeat;

  encode(message: Message): Bytes {
    const size = sizeMessage(message);
    const frame = allocateBytes(8 + size);
    writeMessage(message, frame, writeUint64(frame, 0, size));
    return frame;
  }
}

export class PlainDecoder implements MessageDecoder {
  readonly #queue = new ByteQueue();
  /** Length of the frame whose length is known; -1: not known. */
  #size = -1;

  push(bytes: Bytes, take: (message: Message) => void): void {
    const queue = this.#queue;
    queue.push(bytes);
    for (;;) {
      if (this.#size < 0) {
        const size = queue.takeUint64();
        if (size === undefined) return;
        this.#size = checkedSize(size);
      }
      const frame = queue.take(this.#size);
      if (frame === undefined) return;
      this.#size = -1;
      const message = toMessage(frame);
      if (!isLinkHeartbeat(message)) take(message);
    }
  }
}

export function isLinkHeartbeat(message: Message): boolean {
  return message.type === MessageType.MsgHeartbeat && message.from === 0n && message.to === 0n;
}

// --- append stream ------------------------------------------------------------------------------------

const frameKeptBytesMax = 4 * 1024 * 1024;

const FrameType = { heartbeat: 0, entries: 1, message: 2 } as const;

export class AppendEncoder implements MessageEncoder {
  readonly heartbeat: Bytes = Uint8Array.of(FrameType.heartbeat);
  readonly #frames: EntryFrames;
  #term = 0;
  #index = 0;

  constructor(frames: EntryFrames = new EntryFrames()) {
    this.#frames = frames;
  }

  /** A MsgApp. */
  encode(message: Message): Bytes {
    const { entries, term, logTerm, index } = message;
    if (index === this.#index && logTerm === this.#term && logTerm === term) {
      this.#index += entries.length;
      return this.#frames.of(entries, message.commit);
    }
    this.#term = term;
    this.#index = entries.at(-1)?.index ?? index;
    const size = sizeMessage(message);
    const frame = allocateBytes(9 + size);
    frame[0] = FrameType.message;
    writeMessage(message, frame, writeUint64(frame, 1, size));
    return frame;
  }
}

/**
 * Followers that are up to date get the same entries in the same turn: encoded once, for the first of them.
 * The entries of a log never change, so their first and last tell which they are.
 */
export class EntryFrames {
  #first: Entry | undefined;
  #last: Entry | undefined;
  #count = 0;
  #commit = 0;
  #frame: Bytes = emptyBytes;

  of(entries: readonly Entry[], commit: number): Bytes {
    const count = entries.length;
    const first = entries[0];
    const last = entries[count - 1];
    if (
      first !== undefined &&
      first === this.#first &&
      last === this.#last &&
      count === this.#count &&
      commit === this.#commit
    ) {
      return this.#frame;
    }
    const frame = encodeEntries(entries, commit);
    // An empty one is made faster than it is found, and a large one is not worth its memory.
    if (count > 0 && frame.length <= frameKeptBytesMax) {
      this.#first = first;
      this.#last = last;
      this.#count = count;
      this.#commit = commit;
      this.#frame = frame;
    }
    return frame;
  }
}

function encodeEntries(entries: readonly Entry[], commit: number): Bytes {
  let size = 17;
  for (const entry of entries) size += 8 + sizeEntry(entry);
  const frame = allocateBytes(size);
  frame[0] = FrameType.entries;
  let at = writeUint64(frame, 1, entries.length);
  for (const entry of entries) {
    at = writeEntry(entry, frame, writeUint64(frame, at, sizeEntry(entry)));
  }
  writeUint64(frame, at, commit);
  return frame;
}

type State = "type" | "count" | "entry-size" | "entry" | "commit" | "size" | "message";

export class AppendDecoder implements MessageDecoder {
  readonly #queue = new ByteQueue();
  readonly #from: bigint;
  readonly #to: bigint;
  #term = 0;
  #index = 0;
  #state: State = "type";
  /** Of the present frame: size of what comes next, entries to come, entries there, bytes of them. */
  #size = 0;
  #left = 0;
  #entries: Entry[] = [];
  #bytes = 0;

  /** `from`: the member that sends on this stream. */
  constructor(from: bigint, to: bigint) {
    this.#from = from;
    this.#to = to;
  }

  push(bytes: Bytes, take: (message: Message) => void): void {
    this.#queue.push(bytes);
    while (this.#step(take));
  }

  /** False: more bytes are needed. */
  #step(take: (message: Message) => void): boolean {
    if (this.#state === "entry" || this.#state === "message") {
      const frame = this.#queue.take(this.#size);
      if (frame === undefined) return false;
      if (this.#state === "entry") this.#takeEntry(frame);
      else this.#takeMessage(frame, take);
      return true;
    }
    if (this.#state === "type") {
      const type = this.#queue.takeByte();
      if (type === undefined) return false;
      this.#begin(type);
      return true;
    }
    const value = this.#queue.takeUint64();
    if (value === undefined) return false;
    switch (this.#state) {
      case "count":
        // Each takes its size at least: no count is believed that could not fit.
        if (value * 8 > frameBytesMax) throw tooLarge();
        this.#left = value;
        this.#bytes = 0;
        this.#state = value === 0 ? "commit" : "entry-size";
        break;
      case "entry-size":
        this.#size = checkedSize(value);
        this.#bytes += 8 + value;
        if (this.#bytes > frameBytesMax) throw tooLarge();
        this.#state = "entry";
        break;
      case "commit":
        if (!Number.isSafeInteger(value)) throw new StreamError("commit index out of range");
        take(this.#append(value));
        break;
      case "size":
        this.#size = checkedSize(value);
        this.#state = "message";
        break;
      default:
        this.#state satisfies never;
    }
    return true;
  }

  #begin(type: number): void {
    if (type === FrameType.entries) this.#state = "count";
    else if (type === FrameType.message) this.#state = "size";
    else if (type !== FrameType.heartbeat) throw new StreamError(`unknown frame type ${type}`);
  }

  #takeEntry(bytes: Bytes): void {
    let entry: Entry;
    try {
      entry = decodeEntry(bytes);
    } catch (cause) {
      throw undecodable(cause);
    }
    // They go on where the stream is: anything else would tear a hole into the log.
    if (entry.index !== this.#index + this.#entries.length + 1) {
      throw new StreamError("entries are not in order");
    }
    this.#entries.push(entry);
    this.#left--;
    this.#state = this.#left > 0 ? "entry-size" : "commit";
  }

  #append(commit: number): Message {
    const message = new Message();
    message.type = MessageType.MsgApp;
    message.from = this.#from;
    message.to = this.#to;
    message.term = this.#term;
    message.logTerm = this.#term;
    message.index = this.#index;
    message.entries = this.#entries;
    message.commit = commit;
    this.#index += this.#entries.length;
    this.#entries = [];
    this.#state = "type";
    return message;
  }

  #takeMessage(bytes: Bytes, take: (message: Message) => void): void {
    const message = toMessage(bytes);
    this.#term = message.term;
    this.#index = message.entries.at(-1)?.index ?? message.index;
    this.#state = "type";
    take(message);
  }
}

function checkedSize(size: number): number {
  if (size > frameBytesMax) throw tooLarge();
  return size;
}

function tooLarge(): StreamError {
  return new StreamError("a frame is larger than the limit of 512 MiB");
}

function toMessage(bytes: Bytes): Message {
  try {
    return decodeMessage(bytes);
  } catch (cause) {
    throw undecodable(cause);
  }
}

function undecodable(cause: unknown): unknown {
  if (!(cause instanceof WireError)) return cause;
  return new StreamError(`undecodable message: ${cause.message}`, { cause });
}
