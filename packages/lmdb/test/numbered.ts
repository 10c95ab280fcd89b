import { type Bytes, bytesToKey, keyToBytes } from "@etcd-ts/base";
import type { BackendReader } from "@etcd-ts/machine";

export function revisionKey(main: number): Bytes {
  const key = new Uint8Array(17);
  new DataView(key.buffer).setBigUint64(0, BigInt(main));
  key[8] = 0x5f;
  return key;
}

/** 300 bytes that begin with the number. */
export function valueFor(round: number): Bytes {
  const value = new Uint8Array(300).fill(round & 255);
  value.set(keyToBytes(`${round};`));
  return value;
}

export function numberIn(value: Bytes): number {
  return Number.parseInt(bytesToKey(value.subarray(0, 12)), 10);
}

/** The last round that was committed; 0 in a new store. */
export function readNumber(reader: BackendReader): number {
  const value = reader.get("meta", keyToBytes("round"));
  return value === undefined ? 0 : numberIn(value);
}
