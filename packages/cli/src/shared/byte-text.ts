// Words of a command line are bytes, and etcd keys may be any bytes, but JavaScript strings are UTF-16.
// A byte that is no valid UTF-8 becomes a lone low surrogate (0x80..0xff as U+DC80..U+DCFF, as Python's
// `surrogateescape` does), so that every word survives the way through strings unharmed:
// `textToBytes(bytesToText(b))` equals `b` for all `b`.

import { readFileSync } from "node:fs";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** With the `u` flag a pair is one code point, so that only lone surrogates match. */
const loneSurrogate = /\p{Surrogate}/u;
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Text for any bytes; invalid UTF-8 is escaped. */
export function bytesToText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length; ) {
      const length = sequenceLength(bytes, at);
      if (length === 0) text += String.fromCharCode(0xdc00 + (bytes[at++] as number));
      else {
        text += lenient.decode(bytes.subarray(at, at + length));
        at += length;
      }
    }
    return text;
  }
}

/** The bytes that `bytesToText` was given; plain UTF-8 for ordinary text. */
export function textToBytes(text: string): Uint8Array {
  if (!loneSurrogate.test(text)) return Buffer.from(text, "utf8");
  const parts: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00 && isLow(text.charCodeAt(i + 1))) i += 1;
    else if (unit >= 0xdc80 && unit <= 0xdcff) {
      parts.push(Buffer.from(text.slice(start, i), "utf8"), Uint8Array.of(unit - 0xdc00));
      start = i + 1;
    }
  }
  parts.push(Buffer.from(text.slice(start), "utf8"));
  return Buffer.concat(parts);
}

/**
 * Length of the valid UTF-8 sequence at `at`, 0 when there is none (The Unicode Standard, table 3-7).
 */
export function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1] as number;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i++) {
    if (((bytes[at + i] as number) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/**
 * The words after the script's name. Node decodes them as UTF-8 and replaces what is invalid; where that
 * happened and the system keeps the original (`/proc/self/cmdline`), it is used instead.
 */
export function commandLineWords(argv: readonly string[]): string[] {
  const words = argv.slice(2);
  if (!words.some((word) => word.includes("\ufffd"))) return words;
  let raw: Buffer;
  try {
    raw = readFileSync("/proc/self/cmdline");
  } catch {
    return words; // No such file on this system: Node's reading is the best there is.
  }
  const all: string[] = [];
  for (let start = 0; start < raw.length; ) {
    const end = raw.indexOf(0, start);
    all.push(bytesToText(raw.subarray(start, end < 0 ? raw.length : end)));
    start = end < 0 ? raw.length : end + 1;
  }
  return all.slice(all.length - words.length);
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
