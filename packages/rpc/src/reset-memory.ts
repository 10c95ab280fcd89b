// Which streams we have reset ourselves. What the other side sent before it learned of the reset must be
// ignored (RFC 9113 §5.1), while frames on a stream that ended in order are a violation. The memory is
// bounded: of a stream older than the oldest remembered reset nothing is known, and the caller is mild.

const remembered = 1024;

export class ResetMemory {
  readonly #ids = new Set<number>();
  #forgottenMax = 0;

  add(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size > remembered) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        if (oldest > this.#forgottenMax) this.#forgottenMax = oldest;
        break;
      }
    }
  }

  /** "unknown": it may have been reset by us, long ago. */
  knows(id: number): "reset" | "not-reset" | "unknown" {
    if (this.#ids.has(id)) return "reset";
    return id <= this.#forgottenMax ? "unknown" : "not-reset";
  }
}
