// Programs written with other people's clients, in the clear and over TLS.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { issueCertificate } from "@etcd-ts/node";
import { npmEtcd3Suite } from "../src/npm-etcd3.ts";
import { ours } from "../src/programs.ts";
import { ServerProcess } from "../src/server-process.ts";

const run = promisify(execFile);
const pythonSuite = fileURLToPath(new URL("../../clients/python_suite.py", import.meta.url));
/** Debian's, where python3-etcd3 is installed. */
const python = "/usr/bin/python3";
const hasPythonEtcd3 = spawnSync(python, ["-c", "import etcd3"]).status === 0;
const noPython = "python3-etcd3 is not installed (Debian: python3-etcd3)";

for (const scheme of ["http", "https"] as const) {
  describe(`clients of others over ${scheme}`, () => {
    let server: ServerProcess;
    let folder: string;
    let caFile: string;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "etcd-clients-"));
      caFile = join(folder, "ca.pem");
      const args: string[] = [];
      if (scheme === "https") {
        const shape = { validDays: 2, nowMs: Date.now() };
        const ca = issueCertificate({
          ...shape,
          commonName: "test ca",
          hosts: [],
          purposes: ["server", "client"],
          authority: true,
        });
        const own = issueCertificate({
          ...shape,
          commonName: "127.0.0.1",
          hosts: ["127.0.0.1", "localhost"],
          purposes: ["server"],
          issuer: ca,
        });
        writeFileSync(caFile, ca.certificatePem);
        writeFileSync(join(folder, "cert.pem"), own.certificatePem);
        writeFileSync(join(folder, "key.pem"), own.keyPem);
        args.push("--cert-file", join(folder, "cert.pem"), "--key-file", join(folder, "key.pem"));
      }
      server = await ServerProcess.start(ours, { scheme, args });
    });

    after(async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    test("npm's etcd3", async () => {
      await npmEtcd3Suite({
        hosts: `${scheme}://${server.endpoint}`,
        ...(scheme === "https" ? { credentials: { rootCertificate: readFileSync(caFile) } } : {}),
      });
    });

    test("python3-etcd3", { skip: hasPythonEtcd3 ? false : noPython }, async () => {
      const args = [pythonSuite, "127.0.0.1", String(server.clientPort)];
      if (scheme === "https") args.push(caFile);
      const { stdout } = await run(python, args, { timeout: 300_000 });
      assert.match(stdout, /^33 checks passed$/m);
    });
  });
}
