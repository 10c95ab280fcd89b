// Go's `%q`: how etcdctl shows keys and values in the `fields` format and in messages, and the inverse for
// the quoted strings of `txn` input.

import { sequenceLength, textToBytes } from "./byte-text.ts";

const shortEscapes: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

/** `"…"` with Go's escapes; valid UTF-8 in, invalid bytes as `\xff`. */
export function quote(value: string | Uint8Array): string {
  const bytes = typeof value === "string" ? textToBytes(value) : value;
  let text = '"';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += `\\x${hex(bytes[at] as number, 2)}`;
      at += 1;
      continue;
    }
    const char = Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString("utf8");
    text += quoteRune(char.codePointAt(0) as number, char);
    at += length;
  }
  return `${text}"`;
}

function quoteRune(rune: number, char: string): string {
  const short = shortEscapes.get(rune);
  if (short !== undefined) return short;
  if (rune < 0x20 || rune === 0x7f) return `\\x${hex(rune, 2)}`;
  if (rune === 0x20 || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char)) return char;
  return rune <= 0xffff ? `\\u${hex(rune, 4)}` : `\\U${hex(rune, 8)}`;
}

/** Go's `%q` of a list of strings: `["a" "b"]`. */
export function quoteList(values: readonly string[]): string {
  return `[${values.map(quote).join(" ")}]`;
}

/** `%#q` of one string: back-quoted when that is possible. */
export function backQuote(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return /[`\u0000-\u0008\u000a-\u001f\u007f\ufeff\ud800-\udfff]/.test(text)
    ? quote(text)
    : `\`${text}\``;
}

const named: Readonly<Record<string, number>> = {
  a: 0x07,
  b: 0x08,
  t: 0x09,
  n: 0x0a,
  v: 0x0b,
  f: 0x0c,
  r: 0x0d,
  "\\": 0x5c,
  '"': 0x22,
};

/**
 * The content of a Go string literal's body (between double quotes) as bytes; undefined when an escape is
 * malformed, a raw newline or a bare quote is inside.
 */
export function unquoteBody(body: string): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < body.length) {
    const char = body[at] as string;
    if (char === '"' || char === "\n") return undefined;
    if (char !== "\\") {
      let end = at + 1;
      while (end < body.length && !'\\"\n'.includes(body[end] as string)) end += 1;
      parts.push(textToBytes(body.slice(at, end)));
      at = end;
      continue;
    }
    const kind = body[at + 1];
    if (kind === undefined) return undefined;
    const simple = named[kind];
    if (simple !== undefined) {
      parts.push(Uint8Array.of(simple));
      at += 2;
      continue;
    }
    const [digits, base] =
      kind === "x" ? [2, 16] : kind === "u" ? [4, 16] : kind === "U" ? [8, 16] : [3, 8];
    const start = base === 16 ? at + 2 : at + 1;
    const word = body.slice(start, start + digits);
    if (word.length !== digits || !(base === 16 ? /^[0-9a-f]+$/i : /^[0-7]+$/).test(word)) {
      return undefined;
    }
    const code = Number.parseInt(word, base);
    if (kind === "u" || kind === "U") {
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
      parts.push(Buffer.from(String.fromCodePoint(code), "utf8"));
    } else {
      if (code > 255) return undefined;
      parts.push(Uint8Array.of(code));
    }
    at = start + digits;
  }
  return Buffer.concat(parts);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
