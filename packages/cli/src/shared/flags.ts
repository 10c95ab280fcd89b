// The flags of one command line: specifications found by name, values as given or by default. The grammar
// and the error texts are those of Go's pflag (see `command-line.ts`).

import type { FlagSpec } from "./command.ts";
import { CsvError, parseCsv } from "./csv.ts";
import { formatDuration, parseDuration } from "./go-duration.ts";
import { NumberError, parseBool, parseInt64, parseUint64 } from "./go-number.ts";
import { quote } from "./go-quote.ts";

/** A command line that cannot be read; the usage is shown after the message. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

type FlagValue = string | boolean | bigint | readonly string[];

export class FlagSet {
  readonly #specs = new Map<string, FlagSpec>();
  readonly #shorthands = new Map<string, FlagSpec>();
  readonly #values = new Map<string, FlagValue>();
  /** Flags that were set, by a word or by a variable. */
  readonly #changed = new Set<string>();

  constructor(specs: Iterable<FlagSpec>) {
    for (const spec of specs) {
      // The nearest command wins: `defrag --cluster` is not the flag of a group of the same name.
      if (this.#specs.has(spec.name)) continue;
      this.#specs.set(spec.name, spec);
      if (spec.shorthand !== undefined) this.#shorthands.set(spec.shorthand, spec);
      this.#values.set(spec.name, parseValue(spec, spec.initial));
    }
  }

  spec(name: string): FlagSpec | undefined {
    return this.#specs.get(name);
  }

  shorthand(letter: string): FlagSpec | undefined {
    return this.#shorthands.get(letter);
  }

  specs(): Iterable<FlagSpec> {
    return this.#specs.values();
  }

  /** Sets a flag; throws `UsageError` when the word does not fit. */
  set(spec: FlagSpec, word: string): void {
    let value: FlagValue;
    try {
      value = parseValue(spec, word);
    } catch (error) {
      if (!(error instanceof NumberError) && !(error instanceof CsvError)) throw error;
      const name = spec.shorthand === undefined ? "" : `-${spec.shorthand}, `;
      throw new UsageError(
        `invalid argument ${quote(word)} for ${quote(`${name}--${spec.name}`)} flag: ${error.message}`,
        { cause: error },
      );
    }
    if (spec.kind === "strings" && this.#changed.has(spec.name)) {
      value = [...this.strings(spec.name), ...(value as readonly string[])];
    }
    this.#values.set(spec.name, value);
    this.#changed.add(spec.name);
  }

  /** Whether the flag was set. */
  has(name: string): boolean {
    return this.#changed.has(name);
  }

  bool(name: string): boolean {
    return this.#value(name) as boolean;
  }

  string(name: string): string {
    return this.#value(name) as string;
  }

  strings(name: string): readonly string[] {
    return this.#value(name) as readonly string[];
  }

  /** Of "int", "uint" and "duration" (nanoseconds). */
  int(name: string): bigint {
    return this.#value(name) as bigint;
  }

  /** Of a "duration", as timers want it. */
  milliseconds(name: string): number {
    return Number(this.int(name)) / 1e6;
  }

  /** The value as Go prints it. */
  text(name: string): string {
    return formatValue(this.#specs.get(name) as FlagSpec, this.#value(name));
  }

  #value(name: string): FlagValue {
    const value = this.#values.get(name);
    if (value === undefined) throw new Error(`no flag --${name} here`);
    return value;
  }
}

function parseValue(spec: FlagSpec, word: string): FlagValue {
  switch (spec.kind) {
    case "bool":
      return parseBool(word);
    case "string":
      return word;
    case "strings":
      return parseCsv(word);
    case "int":
      return parseInt64(word, 0);
    case "uint":
      return parseUint64(word, 0);
    case "duration":
      return parseDuration(word);
    default:
      return spec.kind satisfies never;
  }
}

function formatValue(spec: FlagSpec, value: FlagValue): string {
  if (spec.kind === "duration") return formatDuration(value as bigint);
  if (spec.kind === "strings") return `[${(value as readonly string[]).join(",")}]`;
  return String(value);
}

/** The default as help screens show it; undefined when it is a zero, which they do not show. */
export function shownDefault(spec: FlagSpec): string | undefined {
  const value = parseValue(spec, spec.initial);
  if (value === false || value === "" || value === 0n) return undefined;
  if (Array.isArray(value) && value.length === 0) return undefined;
  return spec.kind === "string" ? quote(value as string) : formatValue(spec, value);
}
