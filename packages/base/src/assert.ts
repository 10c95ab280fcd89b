// What may go wrong inside, in two classes. Answers to callers are a third thing and live in the
// error catalogue of `api`.

/** A bug of ours: an invariant does not hold. Nobody catches it; the member stops. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** Damaged data: bytes from a disk or a peer that cannot be what was once written. */
export class CorruptionError extends Error {
  override readonly name = "CorruptionError";
  /** File (or stream) in which the damage was found. */
  readonly file: string;
  /** Byte offset of the damaged record in `file`. */
  readonly position: number;

  constructor(file: string, position: number, what: string, options?: ErrorOptions) {
    super(`${file}: offset ${position}: ${what}`, options);
    this.file = file;
    this.position = position;
  }
}

/** Throws `InvariantError` unless `condition` holds. `what` says what was expected. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InvariantError(what);
}

/** The value, which must be there; for lookups that cannot fail unless we have a bug. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new InvariantError(`missing ${what}`);
  return value;
}
