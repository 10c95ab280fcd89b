// `--log-outputs=systemd/journal`. The journal takes datagrams, which Node cannot send, and streams: after a
// few lines about who writes, every line is an entry, and begins with its priority in angle brackets.

import { connect, type Socket } from "node:net";
import { type LogLevel, type LogOutput, systemText, writeLine } from "@etcd-ts/node";

const journalPath = "/run/systemd/journal/stdout";

/** Of syslog. */
const priorities: Readonly<Record<LogLevel, number>> = {
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
  panic: 2,
  fatal: 2,
};

export class JournalError extends Error {
  override readonly name = "JournalError";
}

/** Rejects with `JournalError`. */
export async function connectJournal(path: string = journalPath): Promise<LogOutput> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const connecting = connect(path);
    connecting.once("connect", () => resolve(connecting));
    connecting.once("error", (cause) => {
      const text = `can't find journal (dial unix ${path}: connect: ${systemText(cause)})`;
      reject(new JournalError(text, { cause }));
    });
  });
  // The server does not stay alive for its log, and lines go out at once: past the stream, to the descriptor.
  socket.unref();
  socket.on("error", () => {});
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;
  if (fd < 0) throw new JournalError("can't find journal (no descriptor of its socket)");
  // Identifier, unit, default priority, whether lines begin with one, forwards to syslog, kernel, console.
  writeLine(fd, Buffer.from("etcd\n\n6\n1\n0\n0\n0\n"));
  return {
    write(line, level) {
      if (!socket.destroyed)
        writeLine(fd, Buffer.concat([Buffer.from(`<${priorities[level]}>`), line]));
    },
    close: () => socket.destroy(),
  };
}
