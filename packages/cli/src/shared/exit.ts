// How a command of etcdctl or etcdutl ends.

/** Exit statuses, as etcdctl defines them. */
export const ExitCode = {
  success: 0,
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  badArguments: 128,
} as const;

/** Ends the command: `Error: <message>` on standard error (nothing when there is no message), then exit. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: number;
  /** False when everything has been said already. */
  readonly printed: boolean;

  constructor(exitCode: number, message: string, options?: ErrorOptions & { printed?: boolean }) {
    super(message, options);
    this.exitCode = exitCode;
    this.printed = options?.printed ?? true;
  }

  static badArguments(message: string): Failure {
    return new Failure(ExitCode.badArguments, message);
  }

  /** Ends with a status and without another word. */
  static silent(exitCode: number): Failure {
    return new Failure(exitCode, "", { printed: false });
  }
}
