import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { issueCertificate } from "@etcd-ts/node";
import { readTlsFiles } from "../../src/etcdctl/tls-files.ts";
import { Failure } from "../../src/shared/exit.ts";

test("a certificate and the key of another are refused by their names", () => {
  const folder = mkdtempSync(join(tmpdir(), "etcd-ts-pair-"));
  const path = (name: string): string => join(folder, name);
  const made = {
    hosts: ["localhost"],
    purposes: ["client"] as const,
    validDays: 2,
    nowMs: Date.now() - 3_600_000,
  };
  try {
    for (const name of ["a", "b"]) {
      const { certificatePem, keyPem } = issueCertificate(made);
      writeFileSync(path(`${name}.crt`), certificatePem);
      writeFileSync(path(`${name}.key`), keyPem);
    }
    const read = (cert: string, key: string): unknown =>
      readTlsFiles({
        cert: path(cert),
        key: path(key),
        cacert: "",
        insecureTransport: true,
        insecureSkipVerify: false,
        serverName: "",
      });
    assert.ok(read("a.crt", "a.key"));
    const refusal = (message: string) => (error: unknown) =>
      error instanceof Failure && error.exitCode === 128 && error.message === message;
    assert.throws(
      () => read("a.crt", "b.key"),
      refusal(
        `${path("b.key")} is not the key of ${path("a.crt")}: tls: private key does not match public key`,
      ),
    );
    assert.throws(
      () => read("a.key", "a.key"),
      refusal(`${path("a.key")}: tls: failed to find any PEM data in certificate input`),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
