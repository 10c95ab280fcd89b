// `--feature-gates A=true,B=false`.

import { NumberError, parseBool } from "../shared/go-number.ts";

export interface FeatureGate {
  readonly name: string;
  readonly fallback: boolean;
  readonly stage: "ALPHA" | "BETA";
}

export const featureGates: readonly FeatureGate[] = [
  { name: "CompactHashCheck", fallback: false, stage: "ALPHA" },
  { name: "FastLeaseKeepAlive", fallback: true, stage: "BETA" },
  { name: "InitialCorruptCheck", fallback: false, stage: "ALPHA" },
  { name: "LeaseCheckpoint", fallback: false, stage: "ALPHA" },
  { name: "LeaseCheckpointPersist", fallback: false, stage: "ALPHA" },
  { name: "PriorityRequest", fallback: false, stage: "ALPHA" },
  { name: "SetMemberLocalAddr", fallback: false, stage: "ALPHA" },
  { name: "StopGRPCServiceOnDefrag", fallback: false, stage: "ALPHA" },
  { name: "TxnModeWriteWithSharedBuffer", fallback: true, stage: "BETA" },
];

export class FeatureGateError extends Error {
  override readonly name = "FeatureGateError";
}

export type GateStates = ReadonlyMap<string, boolean>;

/** The state of every gate. Throws `FeatureGateError`. */
export function parseFeatureGates(text: string): GateStates {
  const given = new Map<string, boolean>();
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim();
    if (equals < 0) throw new FeatureGateError(`missing bool value for ${name}`);
    const value = part.slice(equals + 1).trim();
    const known = ["AllAlpha", "AllBeta", ...featureGates.map((gate) => gate.name)];
    let state: boolean;
    try {
      state = parseBool(value);
    } catch (cause) {
      if (!(cause instanceof NumberError)) throw cause;
      const message = `invalid value of ${name}=${value}, err: ${cause.message}`;
      throw new FeatureGateError(message, { cause });
    }
    if (!known.includes(name)) throw new FeatureGateError(`unrecognized feature gate: ${name}`);
    given.set(name, state);
  }
  const states = new Map<string, boolean>();
  for (const gate of featureGates) {
    const wholeStage = given.get(gate.stage === "ALPHA" ? "AllAlpha" : "AllBeta");
    states.set(gate.name, given.get(gate.name) ?? wholeStage ?? gate.fallback);
  }
  return states;
}
