// Compares what a command printed with what the document says.
//
// The document shows what a reader may see, so what is different every time may be different: identifiers (as long
// as the same one is the same all through the procedure), durations, sizes and versions. `…` in a line stands for
// anything, and alone on its line for any number of lines.

const tokens =
  /…|\b[0-9a-f]{13,16}\b|\b\d{16,20}\b|(?<![\w.])\d+(?:\.\d+)?(?:ns|µs|ms|m\d+(?:\.\d+)?s|s)\b|\b\d+(?:\.\d+)? [kMG]?B\b|\b\d+\.\d+\.\d+\b(?!\.|:)|\b\d+\.\d+\.\d+\.\d+(?::\d+)?/g;

export class Expectation {
  /** Identifiers of the document and what they are here; both ways. */
  readonly #actual = new Map<string, string>();
  readonly #documented = new Map<string, string>();

  /** Undefined when the output is as expected; otherwise what is wrong. */
  problem(expected: readonly string[], actual: readonly string[]): string | undefined {
    return this.#matchAll(expected, actual) ? undefined : describe(expected, actual);
  }

  #matchAll(expected: readonly string[], actual: readonly string[]): boolean {
    if (expected[0] === "…") {
      for (let taken = 0; taken <= actual.length; taken++) {
        if (this.#matchAll(expected.slice(1), actual.slice(taken))) return true;
      }
      return false;
    }
    if (expected.length === 0) return actual.length === 0;
    if (actual.length === 0) return false;
    const learnt = this.#match(expected[0] as string, actual[0] as string);
    if (learnt === undefined) return false;
    for (const [name, id] of learnt) this.#learn(name, id);
    if (this.#matchAll(expected.slice(1), actual.slice(1))) return true;
    for (const [name, id] of learnt) this.#forget(name, id);
    return false;
  }

  /** Identifiers that the line shows for the first time; undefined when it does not match. */
  #match(expected: string, actual: string): [string, string][] | undefined {
    const names: string[] = [];
    let pattern = "";
    let from = 0;
    for (const found of expected.matchAll(tokens)) {
      const [token] = found;
      pattern += escapeRegExp(expected.slice(from, found.index)) + this.#patternOf(token, names);
      from = found.index + token.length;
    }
    pattern += escapeRegExp(expected.slice(from));
    const match = new RegExp(`^${pattern}$`).exec(actual);
    if (match === null) return undefined;
    const learnt: [string, string][] = [];
    for (const [i, name] of names.entries()) {
      const id = match[i + 1] as string;
      const known = this.#actual.get(name) ?? learnt.find(([it]) => it === name)?.[1];
      const used = this.#documented.get(id) ?? learnt.find(([, it]) => it === id)?.[0];
      if ((known !== undefined && known !== id) || (used !== undefined && used !== name)) {
        return undefined;
      }
      if (known === undefined) learnt.push([name, id]);
    }
    return learnt;
  }

  #patternOf(token: string, names: string[]): string {
    if (token === "…") return ".*";
    if (/^\d+\.\d+\.\d+\.\d+/.test(token)) return escapeRegExp(token);
    if (/^\d+\.\d+\.\d+$/.test(token)) return "\\d+\\.\\d+\\.\\d+";
    if (/ [kMG]?B$/.test(token)) return "\\d+(?:\\.\\d+)? [kMG]?B";
    if (/^\d{16,20}$/.test(token)) {
      names.push(token);
      return "(\\d{10,20})";
    }
    if (/^[0-9a-f]{13,16}$/.test(token)) {
      names.push(token);
      // Sentences pad it to sixteen columns.
      return " *([0-9a-f]{9,16})";
    }
    return "(?:\\d+(?:\\.\\d+)?(?:ns|µs|ms|m|s))+";
  }

  #learn(name: string, id: string): void {
    this.#actual.set(name, id);
    this.#documented.set(id, name);
  }

  #forget(name: string, id: string): void {
    this.#actual.delete(name);
    this.#documented.delete(id);
  }

  /** A command of the document with the identifiers that are here in the place of its own. */
  translate(command: string): string {
    return command.replace(
      /\b[0-9a-f]{13,16}\b|\b\d{16,20}\b/g,
      (it) => this.#actual.get(it) ?? it,
    );
  }
}

function describe(expected: readonly string[], actual: readonly string[]): string {
  return `expected:\n  ${expected.join("\n  ")}\nprinted:\n  ${actual.join("\n  ")}`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
