// The Huffman code of HPACK (RFC 7541 §5.2 and appendix B). The code is canonical: symbols sorted by
// length, then by value, get consecutive codes, so the lengths say it all.
//
// Decoding walks a table by half bytes: no code is shorter than 5 bits, hence half a byte completes at
// most one symbol and an entry is one number: next state, symbol, and whether there is one.

import { allocateBytes, type Bytes, sliceToKey } from "@etcd-ts/base";

// biome-ignore format: sixteen a line
const codeLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30, // end of string
];

const endOfString = 256;
const codes = assignCodes();

/** Bytes that `text` (latin1) takes in Huffman code. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += codeLengths[text.charCodeAt(i) & 255]!;
  return (bits + 7) >>> 3;
}

/** Writes the code of `text` (latin1) and returns the position behind it. */
export function huffmanEncode(target: Bytes, position: number, text: string): number {
  let pending = 0; // fewer than 8 bits between symbols
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 255;
    let length = codeLengths[symbol]!;
    const code = codes[symbol]!;
    if (length > 16) {
      // Two steps keep the accumulator below 2^31.
      length -= 16;
      pending = (pending << length) | (code >>> 16);
      pendingBits += length;
      while (pendingBits >= 8) {
        pendingBits -= 8;
        target[position++] = pending >>> pendingBits;
      }
      pending &= (1 << pendingBits) - 1;
      length = 16;
    }
    pending = (pending << length) | (code & ((1 << length) - 1));
    pendingBits += length;
    while (pendingBits >= 8) {
      pendingBits -= 8;
      target[position++] = pending >>> pendingBits;
    }
    pending &= (1 << pendingBits) - 1;
  }
  if (pendingBits > 0) {
    target[position++] = (pending << (8 - pendingBits)) | ((1 << (8 - pendingBits)) - 1);
  }
  return position;
}

// Entry of the decoding table, for a state and half a byte: bits 0–8 the next state, bits 9–16 a symbol,
// bit 17 whether there is one, bit 18 that the walk failed (the end-of-string symbol was met).
const symbolFlag = 1 << 17;
const failureFlag = 1 << 18;
/** By state: whether the string may end there (padding: less than 8 bits, all ones). */
const mayEnd: Uint8Array = new Uint8Array(256);
const transitions: Int32Array = buildTransitions();

let scratch: Bytes = allocateBytes(512);

/** The text (latin1) coded in `bytes[start, end)`, undefined when that is no valid code. */
export function huffmanDecode(bytes: Bytes, start: number, end: number): string | undefined {
  // No symbol is shorter than 5 bits.
  const most = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = allocateBytes(most);
  const out = scratch;
  let length = 0;
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    let entry = transitions[(state << 4) | (byte >>> 4)]!;
    if (entry >= symbolFlag) {
      if (entry >= failureFlag) return undefined;
      out[length++] = entry >>> 9;
    }
    state = entry & 511;
    entry = transitions[(state << 4) | (byte & 15)]!;
    if (entry >= symbolFlag) {
      if (entry >= failureFlag) return undefined;
      out[length++] = entry >>> 9;
    }
    state = entry & 511;
  }
  if (mayEnd[state] === 0) return undefined;
  const text = sliceToKey(out, 0, length);
  if (out.length > 65_536) scratch = allocateBytes(512);
  return text;
}

function assignCodes(): Int32Array {
  const symbols = codeLengths.map((_, symbol) => symbol);
  symbols.sort((a, b) => codeLengths[a]! - codeLengths[b]! || a - b);
  const assigned = new Int32Array(257);
  let code = 0;
  let length = codeLengths[symbols[0]!]!;
  for (const symbol of symbols) {
    code <<= codeLengths[symbol]! - length;
    length = codeLengths[symbol]!;
    assigned[symbol] = code++;
  }
  return assigned;
}

function buildTransitions(): Int32Array {
  // The tree: children[2 * node + bit] is a node, or ~symbol for a leaf. 257 leaves, 256 inner nodes.
  const children: number[] = [0, 0];
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    let node = 0;
    for (let bit = codeLengths[symbol]! - 1; bit >= 0; bit--) {
      const slot = 2 * node + ((codes[symbol]! >>> bit) & 1);
      if (bit === 0) {
        children[slot] = ~symbol;
      } else {
        if (children[slot] === 0) {
          children[slot] = children.length >>> 1;
          children.push(0, 0);
        }
        node = children[slot]!;
      }
    }
  }
  const table = new Int32Array((children.length >>> 1) << 4);
  for (let state = 0; state < children.length >>> 1; state++) {
    for (let half = 0; half < 16; half++) {
      let node = state;
      let entry = 0;
      for (let bit = 3; bit >= 0 && entry < failureFlag; bit--) {
        const child = children[2 * node + ((half >>> bit) & 1)]!;
        if (child >= 0) {
          node = child;
        } else if (~child === endOfString) {
          entry = failureFlag;
        } else {
          entry = symbolFlag | (~child << 9);
          node = 0;
        }
      }
      table[(state << 4) | half] = entry >= failureFlag ? failureFlag : entry | node;
    }
  }
  // Padding is the beginning of the end-of-string code, which is all ones.
  let node = 0;
  for (let bits = 0; bits < 8; bits++) {
    mayEnd[node] = 1;
    node = children[2 * node + 1]!;
  }
  return table;
}
