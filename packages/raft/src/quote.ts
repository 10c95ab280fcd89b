// Bytes as a quoted text, in the notation of Go's %q, which log readers of raft are used to: printable
// UTF-8 as it is, everything else escaped.

import { type Bytes, bytesToUtf8 } from "@etcd-ts/base";

const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

export function quoteBytes(bytes: Bytes): string {
  let text = '"';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += `\\x${hex(bytes[at]!, 2)}`;
      at += 1;
    } else {
      text += quoteCharacter(bytesToUtf8(bytes, at, at + length));
      at += length;
    }
  }
  return `${text}"`;
}

function quoteCharacter(character: string): string {
  const escaped = short[character];
  if (escaped !== undefined) return escaped;
  if (character === " " || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character;
  const code = character.codePointAt(0)!;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x1_0000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/** Bytes of the UTF-8 sequence that begins at `at`; zero when there is no valid one (RFC 3629 §4). */
function sequenceLength(bytes: Bytes, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (at + length > bytes.length) return 0;
  const second = bytes[at + 1]!;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i++) {
    const next = bytes[at + i]!;
    if (next < 0x80 || next > 0xbf) return 0;
  }
  return length;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
