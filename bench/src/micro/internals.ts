// The primitives live inside their packages, behind doors that do not show them. The bench goes in by the file, with the types of the source.

const packages = new URL("../../../../packages/", import.meta.url);

/** `file`: below `packages/`, as compiled: "rpc/dist/src/huffman.js". */
export async function internal<T>(file: string): Promise<T> {
  return (await import(new URL(file, packages).href)) as T;
}

export function mustEqual(got: unknown, wanted: unknown, what: string): void {
  if (got !== wanted) throw new Error(`${what}: ${String(got)} where ${String(wanted)} is right`);
}

export function mustEqualBytes(got: Uint8Array, wanted: Uint8Array, what: string): void {
  const isEqual = got.length === wanted.length && got.every((byte, at) => byte === wanted[at]);
  if (!isEqual) {
    throw new Error(
      `${what}: ${got.length} bytes differ from the plain version's ${wanted.length}`,
    );
  }
}
