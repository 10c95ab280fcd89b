// JSON with whole numbers of 64 bits, which the language's own parser would round: member ids stand as bare
// numbers in configuration changes and in bucket `members`. Written as Go writes it (keys in the order
// given, `<`, `>` and `&` escaped), so that the stored bytes are those of a stock member.

/** The text is not JSON, or not of the form that was asked for. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

export type Json = null | boolean | string | bigint | number | readonly Json[] | JsonObject;

const depthMax = 32;

export class JsonObject {
  readonly #fields: Map<string, Json>;

  constructor(fields: Map<string, Json>) {
    this.#fields = fields;
  }

  get(name: string): Json | undefined {
    return this.#fields.get(name);
  }

  /** Absent and null count as empty; as in all of these. */
  list(name: string): readonly Json[] {
    const value = this.#fields.get(name) ?? [];
    if (!Array.isArray(value)) throw new JsonError(`"${name}" is no list`);
    return value as readonly Json[];
  }

  texts(name: string): string[] {
    return this.list(name).map((item) => {
      if (typeof item !== "string")
        throw new JsonError(`"${name}" holds something that is no text`);
      return item;
    });
  }

  text(name: string): string {
    const value = this.#fields.get(name) ?? "";
    if (typeof value !== "string") throw new JsonError(`"${name}" is no text`);
    return value;
  }

  flag(name: string): boolean {
    const value = this.#fields.get(name) ?? false;
    if (typeof value !== "boolean") throw new JsonError(`"${name}" is neither true nor false`);
    return value;
  }

  uint64(name: string): bigint {
    return toUint64(this.#fields.get(name) ?? 0n);
  }
}

export function toUint64(value: Json): bigint {
  if (typeof value !== "bigint" || value < 0n || value >= 1n << 64n) {
    throw new JsonError("not a 64-bit number");
  }
  return value;
}

/** Parses an object. Throws `JsonError`. */
export function parseJson(text: string): JsonObject {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.end();
  if (!(value instanceof JsonObject)) throw new JsonError("not an object");
  return value;
}

const number = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const string = /"(?:[^"\\]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const space = /[ \t\n\r]*/y;

class Parser {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
    this.#match(space);
  }

  value(depth: number): Json {
    if (depth > depthMax) throw new JsonError("nested too deeply");
    const char = this.#text[this.#position];
    if (char === "{") return this.#object(depth);
    if (char === "[") return this.#array(depth);
    if (char === '"') return this.#string();
    for (const [word, value] of words) {
      if (this.#text.startsWith(word, this.#position)) {
        this.#position += word.length;
        this.#match(space);
        return value;
      }
    }
    const match = this.#match(number);
    if (match === undefined) throw this.#unexpected();
    this.#match(space);
    const [digits, fraction, exponent] = match;
    return fraction === undefined && exponent === undefined ? BigInt(digits) : Number(digits);
  }

  end(): void {
    if (this.#position < this.#text.length) throw this.#unexpected();
  }

  #object(depth: number): JsonObject {
    const fields = new Map<string, Json>();
    this.#take("{");
    if (!this.#has("}")) {
      do {
        const name = this.#string();
        this.#take(":");
        fields.set(name, this.value(depth + 1));
      } while (this.#has(","));
      this.#take("}");
    }
    return new JsonObject(fields);
  }

  #array(depth: number): Json[] {
    const items: Json[] = [];
    this.#take("[");
    if (!this.#has("]")) {
      do items.push(this.value(depth + 1));
      while (this.#has(","));
      this.#take("]");
    }
    return items;
  }

  #string(): string {
    const match = this.#match(string);
    if (match === undefined) throw this.#unexpected();
    this.#match(space);
    try {
      return JSON.parse(match[0]) as string;
    } catch (cause) {
      // Control characters, which the pattern lets through.
      throw new JsonError("a text is not valid", { cause });
    }
  }

  #has(char: string): boolean {
    if (this.#text[this.#position] !== char) return false;
    this.#position++;
    this.#match(space);
    return true;
  }

  #take(char: string): void {
    if (!this.#has(char)) throw this.#unexpected();
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#position;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#position = pattern.lastIndex;
    return match ?? undefined;
  }

  #unexpected(): JsonError {
    return new JsonError(`unexpected text at ${this.#position}`);
  }
}

const words: readonly (readonly [string, Json])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/** A text with quotes, escaped as Go's encoder does. */
export function quoteJson(text: string): string {
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, escapeChar);
}

function escapeChar(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
