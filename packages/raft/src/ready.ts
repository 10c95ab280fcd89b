// What a node has to say at one moment.

import type { ReadState, Role } from "./core.ts";
import type { Entry, HardState, Message, Snapshot } from "./gen/raftpb.ts";

/** Who leads and what we are; need not be durable. */
export interface SoftState {
  readonly lead: bigint;
  readonly role: Role;
}

/**
 * With synchronous writes: make `snapshot`, `hardState` and `entries` durable (with an fsync when
 * `mustSync`), then send `messages`, then apply `committedEntries`, then call `RawNode.advance`. A leader
 * may send its messages while it writes (thesis §10.2.1). A snapshot replaces the whole log; entries that
 * come with it follow behind it.
 *
 * With asynchronous writes: everything is in `messages`. Those for peers may leave at once, those for the
 * two storage threads hold the work and the responses to deliver when it is done; see `RawNode`.
 */
export interface Ready {
  /** Present when it differs from the last one given. */
  readonly softState: SoftState | undefined;
  /** Present when it differs from the last one given. */
  readonly hardState: HardState | undefined;
  /** Reads that may be answered once their index is applied. */
  readonly readStates: readonly ReadState[];
  readonly entries: Entry[];
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: Entry[];
  readonly messages: Message[];
  /** Entries, term or vote are new. A commit index alone may get lost. */
  readonly mustSync: boolean;
}
