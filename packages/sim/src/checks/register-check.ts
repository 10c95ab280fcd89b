// Linearizability of one key, from what clients saw alone: no revision, no knowledge of the store. So a bug
// in the numbering of revisions, which the other checks lean on, cannot hide itself.
//
// Just-in-time linearization (Lowe 2017, after Wing and Gong): invocations and returns are gone through in the
// order of their times, with the set of all *configurations* that are possible so far: the value of the register
// and which of the open operations have happened already. An operation must have happened when it returns; one
// whose outcome is unknown may happen at any time after its invocation, or never.
//
// An operation on several keys counts as one on each of them: when the whole is linearizable, so is every part.

/** `undefined` as a value: there is no such key. */
export interface RegisterOperation {
  readonly name: string;
  readonly invokedMs: number;
  /** Undefined: the outcome is unknown. */
  returnedMs: number | undefined;
  /** What must hold before, when that is known: a read, what a write replaced, a compare that held. */
  readonly requires: { readonly value: string | undefined } | undefined;
  /** What it leaves; absent for a read. */
  readonly leaves: { readonly value: string | undefined } | undefined;
}

export type RegisterVerdict = "linearizable" | "not linearizable" | "too many open operations";

/** Open operations whose outcome is unknown and cannot be told; more of them take too long. */
const openCountMax = 14;
const configurationCountMax = 20_000;

interface Configuration {
  readonly value: string | undefined;
  /** Bit i: the open operation in slot i has happened. */
  readonly happened: number;
}

export function checkRegister(operations: readonly RegisterOperation[]): {
  readonly verdict: RegisterVerdict;
  /** The operation that cannot have happened as it says. */
  readonly at: RegisterOperation | undefined;
} {
  const seen = new Set<string>();
  for (const { requires } of operations) {
    if (requires?.value !== undefined) seen.add(requires.value);
  }
  const points: { ms: number; order: number; operation: RegisterOperation; begins: boolean }[] = [];
  let order = 0;
  for (const operation of operations) {
    const { returnedMs, leaves, requires, invokedMs } = operation;
    if (returnedMs === undefined) {
      // Whoever reads nothing and was seen by nobody has no effect that anybody could have noticed.
      const isUnseenPut = leaves?.value !== undefined && !seen.has(leaves.value);
      if (leaves === undefined || isUnseenPut || requires !== undefined) continue;
    }
    points.push({ ms: invokedMs, order: order++, operation, begins: true });
    if (returnedMs !== undefined) {
      points.push({ ms: returnedMs, order: order++, operation, begins: false });
    }
  }
  // At equal times everything begins before anything ends: they overlap.
  points.sort((a, b) => a.ms - b.ms || Number(b.begins) - Number(a.begins) || a.order - b.order);
  const slots: (RegisterOperation | undefined)[] = [];
  const slotOf = new Map<RegisterOperation, number>();
  let configurations: Configuration[] = [{ value: undefined, happened: 0 }];
  for (const { operation, begins } of points) {
    if (begins) {
      let slot = slots.indexOf(undefined);
      if (slot < 0) slot = slots.length;
      if (slot >= openCountMax) return { verdict: "too many open operations", at: operation };
      slots[slot] = operation;
      slotOf.set(operation, slot);
      continue;
    }
    const slot = slotOf.get(operation) as number;
    const next = advance(configurations, slots, slot);
    if (next === undefined) return { verdict: "too many open operations", at: operation };
    if (next.length === 0) return { verdict: "not linearizable", at: operation };
    configurations = next;
    slots[slot] = undefined;
  }
  return { verdict: "linearizable", at: undefined };
}

/** All configurations in which the operation in `slot` has happened; its bit is free again. */
function advance(
  from: readonly Configuration[],
  slots: readonly (RegisterOperation | undefined)[],
  slot: number,
): Configuration[] | undefined {
  const bit = 1 << slot;
  const known = new Set<string>();
  const done = new Map<string, Configuration>();
  const stack = [...from];
  while (stack.length > 0) {
    const configuration = stack.pop() as Configuration;
    const { value, happened } = configuration;
    if ((happened & bit) !== 0) {
      const freed = { value, happened: happened & ~bit };
      done.set(nameOf(freed), freed);
      continue;
    }
    const name = nameOf(configuration);
    if (known.has(name)) continue;
    known.add(name);
    if (known.size > configurationCountMax) return undefined;
    for (let i = 0; i < slots.length; i++) {
      const operation = slots[i];
      if (operation === undefined || (happened & (1 << i)) !== 0) continue;
      const { requires, leaves } = operation;
      if (requires !== undefined && requires.value !== value) continue;
      stack.push({
        value: leaves === undefined ? value : leaves.value,
        happened: happened | (1 << i),
      });
    }
  }
  return [...done.values()];
}

function nameOf({ value, happened }: Configuration): string {
  return `${happened} ${value ?? ""}`;
}
