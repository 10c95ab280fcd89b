/** `node:crypto`, loaded when it is first needed: 4 ms of a start, which a command of a client in the clear does without. */
export const lazyCrypto = (): typeof import("node:crypto") =>
  process.getBuiltinModule("node:crypto");
