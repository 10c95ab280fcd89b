// Values that commands and printers share: ranges of keys, lease and alarm names.

/** End of a range that has none: all keys from its start. */
export const openEnd: Uint8Array = Uint8Array.of(0);

/** The end of the range of all keys with a prefix; open when the prefix is all 0xff (or empty). */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if ((prefix[i] as number) < 0xff) {
      const end = Uint8Array.from(prefix.subarray(0, i + 1));
      end[i] = (end[i] as number) + 1;
      return end;
    }
  }
  return openEnd;
}

/** `%016x` of a signed number: 16 hex digits, a minus sign in the place of the first when negative. */
export function leaseHex(id: bigint): string {
  return id < 0n ? `-${(-id).toString(16).padStart(15, "0")}` : id.toString(16).padStart(16, "0");
}

const alarmNames: readonly string[] = ["NONE", "NOSPACE", "CORRUPT"];

export function alarmName(alarm: number): string {
  return alarmNames[alarm] ?? String(alarm);
}
