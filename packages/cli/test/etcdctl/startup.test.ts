// A tool for shells and scripts has to start at once.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { binary, inFolder, memberFlags } from "../etcd/daemon-process.ts";
import { etcdctlProgram } from "./ours.ts";

const sources = fileURLToPath(new URL("../../src", import.meta.url));

/** What a module loads without being asked: its static imports, and theirs. */
function staticImports(file: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  if (!file.startsWith("/")) return seen;
  const text = readFileSync(file, "utf8");
  for (const match of text.matchAll(/^(?:(?:import|export)\b[^"';=]*?from|import) "([^"]+)";/gm)) {
    const specifier = match[1] as string;
    staticImports(specifier.startsWith(".") ? resolve(dirname(file), specifier) : specifier, seen);
  }
  return seen;
}

test("help and version load neither client nor protocol", () => {
  for (const entry of [
    "etcdctl/main.js",
    "etcdctl/commands/version.js",
    "shared/help-command.js",
    "etcdutl/main.js",
  ]) {
    const loaded = [...staticImports(join(sources, entry))];
    const foreign = loaded.filter((it) => !it.startsWith(sources) && it !== "node:fs");
    assert.deepEqual(foreign, [], entry);
    assert.ok(loaded.length < 35, `${entry} loads ${loaded.length} files`);
  }
});

test("commands of the client load no server and no database", () => {
  for (const entry of ["get", "watch", "snapshot-save", "member", "lock"]) {
    const file = join(sources, "etcdctl", "commands", `${entry}.js`);
    const packages = [...staticImports(file)].filter((it) => it.startsWith("@"));
    assert.ok(packages.includes("@etcd-ts/client"), entry);
    const allowed = [
      "@etcd-ts/api",
      "@etcd-ts/base",
      "@etcd-ts/client",
      "@etcd-ts/node",
      "@etcd-ts/rpc",
    ];
    assert.deepEqual(
      packages.filter((it) => !allowed.includes(it)),
      [],
      relative(sources, file),
    );
  }
});

test("it starts through links, from any folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "etcd-ts-link-"));
  try {
    const link = join(folder, "ectl");
    symlinkSync(etcdctlProgram, link);
    symlinkSync(link, join(folder, "again"));
    assert.ok((statSync(etcdctlProgram).mode & 0o111) === 0o111, "it is executable");
    const { stdout, status } = spawnSync(join(folder, "again"), ["version"], {
      cwd: "/",
      encoding: "utf8",
    });
    assert.equal(stdout, "etcdctl version: 3.7.1\nAPI version: 3.7\n");
    assert.equal(status, 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Has every Node that `run` starts with the given variables say what CPU time it took. */
async function cpuMs(run: (environment: Record<string, string>) => unknown): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-ts-cpu-"));
  const [hook, report] = [join(folder, "hook.cjs"), join(folder, "report")];
  writeFileSync(
    hook,
    `process.on("exit", () => {
      const { user, system } = process.cpuUsage();
      require("node:fs").writeFileSync(${JSON.stringify(report)}, String((user + system) / 1000));
    });`,
  );
  try {
    await run({ NODE_OPTIONS: `--require=${JSON.stringify(hook)}` });
    return Number(readFileSync(report, "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Run = (environment: Record<string, string>) => unknown;

/**
 * The least CPU time of some runs, which take turns: what else the machine does only ever adds. On a busy machine that
 * takes a while to find out, so there are more rounds as long as it is not what is expected.
 */
async function leastCpuMs(
  runs: readonly Run[],
  isExpected: (...leastMs: number[]) => boolean,
): Promise<number[]> {
  const least = runs.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 20 && (round < 3 || !isExpected(...least)); round++) {
    for (const [i, run] of runs.entries()) {
      least[i] = Math.min(least[i] as number, await cpuMs(run));
    }
  }
  return least;
}

function node(...args: string[]): Run {
  return (environment) => {
    const env = { ...process.env, ...environment };
    const { status, stderr } = spawnSync(process.execPath, args, { env });
    assert.equal(status, 0, String(stderr));
  };
}

test("a cold `version` takes at most twice the CPU of an empty Node", async () => {
  const [empty = 0, version = 0] = await leastCpuMs(
    [node("-e", "0"), node(etcdctlProgram, "version")],
    (emptyMs = 0, versionMs = 0) => versionMs <= emptyMs * 2,
  );
  assert.ok(version / empty <= 2, `ratio ${(version / empty).toFixed(2)}`);
});

/** A program that runs a tool's modules as they are. */
function modulesOf(tool: string, folder: string): string {
  const program = join(folder, `${tool}.mjs`);
  const main = JSON.stringify(join(sources, tool, "main.js"));
  writeFileSync(program, `import { main } from ${main};\nmain();\n`);
  return program;
}

test("of a cold `put` the bundle saves a quarter at least, of a member that is started and stopped a third", async () => {
  await inFolder(async (folder, start) => {
    const address = await start(memberFlags(folder)).address();
    const put = ["--endpoints", address, "put", "k", "v"];
    const member =
      (program: string): Run =>
      (environment) =>
        inFolder(async (data, startMember) => {
          const options = { environment, program: process.execPath };
          const daemon = startMember([program, ...memberFlags(data)], options);
          await daemon.line("ready to serve client requests");
          await daemon.stop();
        });
    const putSaves = (bundleMs = 0, modulesMs = 0): boolean => bundleMs <= modulesMs * 0.75;
    const memberSaves = (bundleMs = 0, modulesMs = 0): boolean => bundleMs <= modulesMs * 0.67;
    const [ofPut = 0, ofPutModules = 0, ofMember = 0, ofMemberModules = 0] = await leastCpuMs(
      [
        node(etcdctlProgram, ...put),
        node(modulesOf("etcdctl", folder), ...put),
        member(binary),
        member(modulesOf("etcd", folder)),
      ],
      (a, b, c, d) => putSaves(a, b) && memberSaves(c, d),
    );
    assert.ok(putSaves(ofPut, ofPutModules), `put: ${ofPut} ms, modules ${ofPutModules} ms`);
    assert.ok(memberSaves(ofMember, ofMemberModules), `${ofMember} ms, ${ofMemberModules} ms`);
  });
});

test("output that does not get through is one line, not a trace", (t) => {
  if (!existsSync("/dev/full")) {
    t.skip("no /dev/full here");
    return;
  }
  const full = openSync("/dev/full", "w");
  try {
    const { stderr, status } = spawnSync(etcdctlProgram, ["version"], {
      encoding: "utf8",
      stdio: ["ignore", full, "pipe"],
    });
    assert.equal(stderr, "Error: standard output: ENOSPC: no space left on device, write\n");
    assert.equal(status, 1);
  } finally {
    closeSync(full);
  }
});

test("the v2 API is refused in one clear line", () => {
  const { stdout, stderr, status } = spawnSync(etcdctlProgram, ["get", "a"], {
    encoding: "utf8",
    env: { ...process.env, ETCDCTL_API: "2" },
  });
  assert.equal(stdout, "");
  assert.match(stderr, /^Error: ETCDCTL_API=2 is not supported.*\n$/);
  assert.equal(status, 1);
});

test("the bash completion can be sourced and completes", (t) => {
  if (spawnSync("bash", ["-c", "true"]).status !== 0) {
    t.skip("no bash here");
    return;
  }
  const script = `
    source <(${etcdctlProgram} completion bash) || exit 9
    COMP_WORDS=(${etcdctlProgram} "$@"); COMP_CWORD=$#
    _etcdctl_complete
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const complete = (...words: string[]): string =>
    spawnSync("bash", ["-c", script, "bash", ...words], { encoding: "utf8" }).stdout;
  assert.equal(complete("lea"), "lease\n");
  assert.equal(complete("lease", ""), "grant\nkeep-alive\nlist\nrevoke\ntimetolive\n");
  assert.equal(complete("get", "--order", ""), "ASCEND\nDESCEND\n");
  assert.equal(complete("get", "--order", "=", "D"), "DESCEND\n");
  for (const shell of ["zsh", "fish", "powershell"]) {
    const { stdout, status } = spawnSync(etcdctlProgram, ["completion", shell], {
      encoding: "utf8",
    });
    assert.equal(status, 0);
    assert.match(
      stdout,
      shell === "zsh"
        ? /^#compdef etcdctl\ncompdef _etcdctl etcdctl\n/
        : /^# \w+ completion for etcdctl/,
    );
    assert.match(stdout, /__complete/);
  }
});
