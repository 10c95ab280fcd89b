// Asking for passwords. On a terminal the echo is switched off while a line is typed; without one a line is
// read all the same, so that scripts and tests can answer.

import { bytesToText } from "../shared/byte-text.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import type { Output } from "../shared/output.ts";
import { inputLines, terminalInput } from "../shared/stdin.ts";

/** Prints a prompt, reads a line and trims it. */
export async function askPassword(prompt: string, output: Output): Promise<string> {
  output.out(prompt);
  const terminal = terminalInput();
  const line = terminal === undefined ? await inputLines().next() : await readHidden(terminal);
  output.out("\n");
  if (line === undefined) throw Failure.badArguments("failed to ask password: EOF");
  return line.trim();
}

/** A password typed twice, for a user that is made or changed. */
export async function askNewPassword(user: string, output: Output): Promise<string> {
  const first = await askPassword(`Password of ${user}: `, output);
  if (first === "") throw Failure.badArguments("empty password");
  const again = await askPassword(`Type password of ${user} again for confirmation: `, output);
  if (again !== first) throw Failure.badArguments("given passwords are different");
  return first;
}

const interruptStatus = 130;

/** A line from the terminal without echo; undefined at its end. */
function readHidden(stdin: typeof process.stdin): Promise<string | undefined> {
  return new Promise((resolve) => {
    const typed: number[] = [];
    const finish = (line: string | undefined): void => {
      stdin.off("data", onData);
      stdin.setRawMode(false);
      stdin.pause();
      resolve(line);
    };
    const onData = (chunk: Buffer): void => {
      for (let i = 0; i < chunk.length; i++) {
        const byte = chunk[i] as number;
        if (byte === 0x0a || byte === 0x0d) {
          // What was typed ahead belongs to the next question.
          if (i + 1 < chunk.length) stdin.unshift(chunk.subarray(i + 1));
          finish(bytesToText(Uint8Array.from(typed)));
          return;
        }
        if (byte === 0x03) {
          stdin.setRawMode(false);
          process.exit(interruptStatus);
        }
        if (byte === 0x04 && typed.length === 0) {
          finish(undefined);
          return;
        }
        if (byte === 0x7f || byte === 0x08) {
          // A whole character goes, not only its last byte.
          while (((typed.pop() ?? 0) & 0xc0) === 0x80);
        } else if (byte === 0x15) typed.length = 0;
        else typed.push(byte);
      }
    };
    stdin.setRawMode(true);
    stdin.on("data", onData);
    stdin.resume();
  });
}

/** A blank-delimited word from standard input, for `--interactive=false`; an empty line is "". */
export async function readPasswordWord(): Promise<string> {
  const line = await inputLines().next();
  if (line === undefined) throw new Failure(ExitCode.badArguments, "failed to read password: EOF");
  return line.trim().split(/\s/)[0] as string;
}
