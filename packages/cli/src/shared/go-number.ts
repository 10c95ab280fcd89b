// Numbers as Go's strconv reads them, with its error texts, which etcdctl shows to the user.

import { quote } from "./go-quote.ts";

/** A text that is no number; the message is Go's. */
export class NumberError extends Error {
  override readonly name = "NumberError";
}

const maxInt64 = 2n ** 63n - 1n;
const minInt64 = -(2n ** 63n);
const maxUint64 = 2n ** 64n - 1n;

/** `strconv.ParseInt(text, base, 64)`; base 0 knows the prefixes 0x 0o 0b 0 and underscores. */
export function parseInt64(text: string, base: 0 | 10 | 16): bigint {
  const sign = text.startsWith("-") ? -1n : 1n;
  const magnitude = parseMagnitude("ParseInt", text, text.replace(/^[+-]/, ""), base);
  const value = sign * magnitude;
  if (value > maxInt64 || value < minInt64) throw outOfRange("ParseInt", text);
  return value;
}

/** `strconv.ParseUint(text, base, 64)`. */
export function parseUint64(text: string, base: 0 | 10 | 16): bigint {
  const value = parseMagnitude("ParseUint", text, text, base);
  if (value > maxUint64) throw outOfRange("ParseUint", text);
  return value;
}

/** `strconv.ParseBool`. */
export function parseBool(text: string): boolean {
  switch (text) {
    case "1":
    case "t":
    case "T":
    case "true":
    case "TRUE":
    case "True":
      return true;
    case "0":
    case "f":
    case "F":
    case "false":
    case "FALSE":
    case "False":
      return false;
    default:
      throw invalidSyntax("ParseBool", text);
  }
}

function parseMagnitude(
  operation: string,
  text: string,
  digits: string,
  base: 0 | 10 | 16,
): bigint {
  let word = digits;
  let radix: number = base;
  if (base === 0) {
    const prefix = /^0([xX]|[bB]|[oO]?)(?=.)/.exec(word);
    const kind = prefix?.[1]?.toLowerCase();
    radix = kind === "x" ? 16 : kind === "b" ? 2 : kind === undefined ? 10 : 8;
    // An underscore may stand between two digits, or between the prefix and a digit.
    if (word.includes("_")) {
      if (!/^(0[xXbBoO]_?)?[0-9a-fA-F]+(_[0-9a-fA-F]+)*$/.test(word)) {
        throw invalidSyntax(operation, text);
      }
    }
    word = word.slice(prefix?.[0].length ?? 0).replaceAll("_", "");
  }
  const alphabet =
    radix === 16
      ? /^[0-9a-f]+$/i
      : radix === 10
        ? /^[0-9]+$/
        : radix === 8
          ? /^[0-7]+$/
          : /^[01]+$/;
  if (!alphabet.test(word)) throw invalidSyntax(operation, text);
  if (radix === 10) return BigInt(word);
  return BigInt(`${radix === 16 ? "0x" : radix === 8 ? "0o" : "0b"}${word}`);
}

function invalidSyntax(operation: string, text: string): NumberError {
  return new NumberError(`strconv.${operation}: parsing ${quote(text)}: invalid syntax`);
}

function outOfRange(operation: string, text: string): NumberError {
  return new NumberError(`strconv.${operation}: parsing ${quote(text)}: value out of range`);
}
