// A JSON text that is read value by value into messages, without an object tree in between. Numbers stay
// text: 64-bit integers do not fit into JavaScript's. Strict RFC 8259; what is wrong is told with line and
// column.

/** The text is no JSON, or not that of the message. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** Objects and arrays inside one another. */
const depthMax = 1000;

const whitespace = /[ \t\r\n]*/y;
/** Anything but quotes, backslashes and control characters. */
const plainCharacters = /[ !#-[\]-\u{10ffff}]*/uy;
const numberText = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

export class JsonText {
  readonly #text: string;
  #position = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#pass(whitespace);
  }

  /** Where the next value begins. */
  get position(): number {
    return this.#position;
  }

  atEnd(): boolean {
    return this.#position === this.#text.length;
  }

  /** An object; `member` is called after each name and reads or skips the value. */
  members(member: (name: string, position: number) => void): void {
    this.#open("{", "an object");
    if (!this.#take("}")) {
      do {
        const position = this.#position;
        const name = this.string();
        if (name === undefined) throw this.#unexpected("a field name");
        if (!this.#take(":")) throw this.#unexpected('":"');
        member(name, position);
      } while (this.#take(","));
      if (!this.#take("}")) throw this.#unexpected('"," or "}"');
    }
    this.#depth--;
  }

  /** An array; `item` reads or skips one value. */
  items(item: () => void): void {
    this.#open("[", "an array");
    if (!this.#take("]")) {
      do item();
      while (this.#take(","));
      if (!this.#take("]")) throw this.#unexpected('"," or "]"');
    }
    this.#depth--;
  }

  /** A string, or `undefined` when the next value is none. */
  string(): string | undefined {
    if (this.#text[this.#position] !== '"') return undefined;
    this.#position++;
    let value = this.#pass(plainCharacters);
    while (this.#text[this.#position] === "\\") {
      this.#position++;
      value += this.#escape() + this.#pass(plainCharacters);
    }
    if (this.#text[this.#position] !== '"') throw this.#unexpected("the end of a string");
    this.#position++;
    this.#pass(whitespace);
    return value;
  }

  /** The text of a number, or `undefined` when the next value is none. */
  number(): string | undefined {
    const text = this.#pass(numberText);
    if (text === "") return undefined;
    if (/[\w.+-]/.test(this.#text[this.#position] ?? ""))
      throw this.#unexpected("the end of a number");
    this.#pass(whitespace);
    return text;
  }

  boolean(): boolean | undefined {
    if (this.#word("true")) return true;
    return this.#word("false") ? false : undefined;
  }

  null(): boolean {
    return this.#word("null");
  }

  skipValue(): void {
    const first = this.#text[this.#position];
    if (first === "{") this.members(() => this.skipValue());
    else if (first === "[") this.items(() => this.skipValue());
    else if (
      this.string() === undefined &&
      this.boolean() === undefined &&
      !this.null() &&
      this.number() === undefined
    ) {
      throw this.#unexpected("a value");
    }
  }

  /** An error that says where. */
  error(what: string, position: number): JsonError {
    const before = this.#text.slice(0, position).split("\n");
    const line = before.length;
    const column = (before[line - 1]?.length ?? 0) + 1;
    return new JsonError(`proto: (line ${line}:${column}): ${what}`);
  }

  #unexpected(wanted: string): JsonError {
    const found = this.#text[this.#position];
    const what = found === undefined ? "end of input" : JSON.stringify(found);
    return this.error(`unexpected ${what} where ${wanted} should be`, this.#position);
  }

  #open(bracket: "{" | "[", what: string): void {
    if (!this.#take(bracket)) throw this.#unexpected(what);
    if (++this.#depth > depthMax) throw this.error("nested too deeply", this.#position);
  }

  #take(character: string): boolean {
    if (this.#text[this.#position] !== character) return false;
    this.#position++;
    this.#pass(whitespace);
    return true;
  }

  #word(word: string): boolean {
    if (!this.#text.startsWith(word, this.#position)) return false;
    const after = this.#text[this.#position + word.length];
    if (after !== undefined && /\w/.test(after)) return false;
    this.#position += word.length;
    this.#pass(whitespace);
    return true;
  }

  /** What `pattern`, a sticky one, matches here; moves behind it. */
  #pass(pattern: RegExp): string {
    pattern.lastIndex = this.#position;
    const text = pattern.exec(this.#text)?.[0] ?? "";
    this.#position += text.length;
    return text;
  }

  #escape(): string {
    const letter = this.#text[this.#position] ?? "";
    if (letter !== "u") {
      const plain = escapes[letter];
      if (plain === undefined) throw this.#unexpected("an escape");
      this.#position++;
      return plain;
    }
    const unit = this.#hex4();
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    // Half of a pair, which must come whole: a lone one has no UTF-8 form.
    if (unit < 0xdc00 && this.#text[this.#position] === "\\") {
      this.#position++;
      if (this.#text[this.#position] !== "u") throw this.#unexpected("the second half of a pair");
      const second = this.#hex4();
      if (second >= 0xdc00 && second <= 0xdfff) return String.fromCharCode(unit, second);
    }
    throw this.#unexpected("a pair of surrogates");
  }

  #hex4(): number {
    const digits = this.#text.slice(this.#position + 1, this.#position + 5);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#unexpected("four hexadecimal digits");
    this.#position += 5;
    return Number.parseInt(digits, 16);
  }
}
