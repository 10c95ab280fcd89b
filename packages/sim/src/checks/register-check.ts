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

/** An operation that may happen now. Values are numbers here: 0 is no key at all, `any` is no condition. */
interface Open {
  readonly requires: number;
  readonly leaves: number;
  /** Only reads. */
  readonly isRead: boolean;
  /** A deletion of unknown outcome: one is like another. */
  readonly isLostDeletion: boolean;
}

const any = -1;

/**
 * What is possible so far, as one number: `value * slotCodes + happened`, bit i of `happened` for the open operation
 * in slot i. Numbers, because there are thousands of them for a key with some calls of unknown outcome.
 */
type Configuration = number;

const slotCodes = 2 ** openCountMax;

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
  const numbers = new Map<string | undefined, number>([[undefined, 0]]);
  const slots: (Open | undefined)[] = [];
  const slotOf = new Map<RegisterOperation, number>();
  let configurations: Configuration[] = [0];
  for (const { operation, begins } of points) {
    if (begins) {
      let slot = slots.indexOf(undefined);
      if (slot < 0) slot = slots.length;
      if (slot >= openCountMax) return { verdict: "too many open operations", at: operation };
      slots[slot] = opened(operation, numbers);
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

function opened(operation: RegisterOperation, numbers: Map<string | undefined, number>): Open {
  const { requires, leaves, returnedMs } = operation;
  const numberOf = (value: string | undefined): number => {
    let number = numbers.get(value);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(value, number);
    }
    return number;
  };
  return {
    requires: requires === undefined ? any : numberOf(requires.value),
    leaves: leaves === undefined ? any : numberOf(leaves.value),
    isRead: leaves === undefined,
    isLostDeletion: returnedMs === undefined && leaves !== undefined && leaves.value === undefined,
  };
}

/**
 * All configurations in which the operation in `slot` has happened; its bit is free again. Two short cuts leave out
 * nothing that matters: a read that shows the present value may as well happen at once, as it will have to and
 * changes nothing; and of deletions that are all alike only the first that has not happened is the next to happen.
 */
function advance(
  from: readonly Configuration[],
  slots: readonly (Open | undefined)[],
  slot: number,
): Configuration[] | undefined {
  const bit = 1 << slot;
  const known = new Set<Configuration>();
  const done = new Set<Configuration>();
  const stack = [...from];
  while (stack.length > 0) {
    const before = stack.pop() as Configuration;
    let happened = before & (slotCodes - 1);
    const value = (before - happened) / slotCodes;
    for (let i = 0; i < slots.length; i++) {
      const it = slots[i];
      if (it?.isRead && (it.requires === any || it.requires === value)) happened |= 1 << i;
    }
    const configuration = value * slotCodes + happened;
    if ((happened & bit) !== 0) {
      done.add(configuration - bit);
      continue;
    }
    if (known.has(configuration)) continue;
    known.add(configuration);
    if (known.size > configurationCountMax) return undefined;
    let sawLostDeletion = false;
    for (let i = 0; i < slots.length; i++) {
      const it = slots[i];
      if (it === undefined || it.isRead || (happened & (1 << i)) !== 0) continue;
      if (it.requires !== any && it.requires !== value) continue;
      if (it.isLostDeletion) {
        if (sawLostDeletion) continue;
        sawLostDeletion = true;
      }
      stack.push(it.leaves * slotCodes + (happened | (1 << i)));
    }
  }
  return [...done];
}
