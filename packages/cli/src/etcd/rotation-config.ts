// `--log-rotation-config-json`.

export interface LogRotation {
  /** Size at which a file is put aside; 0 means 100. */
  readonly megabytes: number;
  /** Older ones go; 0: none does. */
  readonly days: number;
  /** How many are kept; 0: all. */
  readonly backups: number;
  /** Names in local time in place of UTC. */
  readonly localTime: boolean;
  readonly compress: boolean;
}

export class RotationError extends Error {
  override readonly name = "RotationError";
}

/** Of `--log-rotation-config-json`. Throws `RotationError`. */
export function parseRotation(text: string): LogRotation {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new RotationError((cause as Error).message, { cause });
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new RotationError("a JSON object is wanted");
  }
  const fields = new Map(
    Object.entries(given).map(([name, value]): [string, unknown] => [name.toLowerCase(), value]),
  );
  const number = (name: string): number => {
    const value = fields.get(name) ?? 0;
    if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
    throw new RotationError(`${name} must be a whole number that is not negative`);
  };
  const flag = (name: string): boolean => {
    const value = fields.get(name) ?? false;
    if (typeof value === "boolean") return value;
    throw new RotationError(`${name} must be true or false`);
  };
  return {
    megabytes: number("maxsize"),
    days: number("maxage"),
    backups: number("maxbackups"),
    localTime: flag("localtime"),
    compress: flag("compress"),
  };
}
