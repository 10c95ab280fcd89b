// Revisions that running reads still need. Compaction refuses new reads below its revision at once, but
// removes nothing that a pinned reader could ask for.

export class Pin {
  /** A reader at this revision or later finds everything it may see. */
  readonly revision: number;
  readonly #pins: Set<Pin>;

  constructor(revision: number, pins: Set<Pin>) {
    this.revision = revision;
    this.#pins = pins;
    pins.add(this);
  }

  /** Idempotent. */
  release(): void {
    this.#pins.delete(this);
  }
}

export class Pins {
  readonly #pins: Set<Pin> = new Set();

  get count(): number {
    return this.#pins.size;
  }

  pin(revision: number): Pin {
    return new Pin(revision, this.#pins);
  }

  /** The lower of `revision` and the lowest pinned one. */
  bound(revision: number): number {
    let bound = revision;
    for (const pin of this.#pins) if (pin.revision < bound) bound = pin.revision;
    return bound;
  }
}
