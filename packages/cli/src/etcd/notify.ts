// systemd's readiness protocol (sd_notify) is a datagram to a unix socket, which Node cannot send. Where a
// service manager waits for it, systemd's own command sends it for us.

import type { Log } from "@etcd-ts/base";

export function notifyServiceManager(
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
): void {
  log.info("notifying init daemon");
  if ((environment["NOTIFY_SOCKET"] ?? "") === "") {
    log.info("successfully notified init daemon");
    return;
  }
  const { execFile } = process.getBuiltinModule("node:child_process");
  execFile("systemd-notify", ["--ready", `--pid=${process.pid}`], (error) => {
    if (error === null) log.info("successfully notified init daemon");
    else log.warn("failed to notify init daemon", { error });
  });
}
