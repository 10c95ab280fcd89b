// `bin/launch.js`: each tool starts from one file, as long as that is of what the compiler wrote last.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire, SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

interface Bundle {
  readonly path: string;
  readonly label: string;
  readonly source: string;
}

interface Launcher {
  readBundle(tool: string): Bundle | undefined;
  stampOf(files: readonly string[]): string;
}

const bin = fileURLToPath(new URL("../../../../bin", import.meta.url));

function launcherIn(folder: string): Launcher {
  return createRequire(import.meta.url)(join(folder, "launch.js")) as Launcher;
}

function bundleOf(tool: string): Bundle {
  const bundle = launcherIn(bin).readBundle(tool);
  assert.ok(bundle !== undefined, "the bundles are older than the modules: npm run build");
  return bundle;
}

/** Runs code in a Node of its own: V8 takes no code cache that was made under other flags, and tests run under some. */
function inPlainNode(code: string, ...args: string[]): string {
  const prelude = `
    const { wrap } = require(${JSON.stringify(join(bin, "launch.js"))});
    const { Script } = require("node:vm");
    const { writeFileSync } = require("node:fs");
    const args = process.argv.slice(1);`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", prelude + code, ...args]);
  assert.equal(String(stderr), "");
  return String(stdout);
}

for (const [tool, command] of [
  ["etcd", "--version"],
  ["etcdctl", "version"],
  ["etcdutl", "version"],
] as const) {
  test(`${tool} has a bundle of what is compiled, with code that V8 takes as it is started`, () => {
    bundleOf(tool);
    const folder = mkdtempSync(join(tmpdir(), "etcd-ts-launch-"));
    try {
      const watcher = join(folder, "watch-scripts.cjs");
      writeFileSync(
        watcher,
        `const vm = require("node:vm");
        const { Script } = vm;
        vm.Script = class extends Script {
          constructor(source, options) {
            super(source, options);
            console.error("rejected:", this.cachedDataRejected);
          }
        };`,
      );
      const env = { ...process.env, NODE_OPTIONS: `--require ${watcher}` };
      const { stderr } = spawnSync(join(bin, tool), [command], { env });
      assert.equal(String(stderr), "rejected: false\n");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test("a start says nothing that was not asked for", () => {
  for (const args of [
    ["etcd", "--version"],
    ["etcdctl", "version"],
    ["etcdutl", "version"],
  ]) {
    const [tool = "", word = ""] = args;
    const { stdout, stderr } = spawnSync(join(bin, tool), [word], { cwd: "/", encoding: "utf8" });
    assert.equal(stderr, "");
    assert.match(stdout, /^etcd(ctl|utl)? [Vv]ersion: 3\.7\.1\n/);
  }
});

test("a place in a bundle can be looked up in the sources", () => {
  const { path, source } = bundleOf("etcd");
  const map = new SourceMap(JSON.parse(readFileSync(`${path}.map`, "utf8")));
  const lines = source.split("\n");
  const line = lines.findIndex((it) => it.includes("no tree under its name"));
  assert.ok(line > 0);
  const entry = map.findEntry(line, (lines[line] as string).search(/\S/)) as {
    originalSource: string;
    originalLine: number;
  };
  const file = resolve(dirname(path), entry.originalSource);
  assert.match(file, /packages\/lmdb\/src\/data-file\.ts$/);
  const original = readFileSync(file, "utf8").split("\n")[entry.originalLine] as string;
  assert.match(original, /no tree under its name/);
});

/** A checkout whose etcdctl only says what of it ran. */
class FakeCheckout implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "etcd-ts-launch-"));
  readonly bundle: string = join(this.#folder, "packages/cli/dist/bundle/etcdctl/main.js");
  /** What the compiler leaves behind. */
  readonly compiled: string = join(this.#folder, "packages/cli/dist/src.tsbuildinfo");

  constructor() {
    const modules = join(this.#folder, "packages/cli/dist/src/etcdctl/main.js");
    for (const file of [this.bundle, modules, join(this.#folder, "bin/etcdctl")]) {
      mkdirSync(dirname(file), { recursive: true });
    }
    for (const name of ["launch.js", "package.json", "etcdctl"]) {
      copyFileSync(join(bin, name), join(this.#folder, "bin", name));
    }
    writeFileSync(join(this.#folder, "package.json"), '{ "type": "module" }');
    writeFileSync(modules, 'export const main = () => console.log("modules");');
    writeFileSync(this.compiled, "");
    const label = this.label("1");
    writeFileSync(this.bundle, FakeCheckout.#source(label, "bundle"));
    this.writeCache(label, "bundle");
  }

  /** A code cache that says that it is of `label`, of a bundle that says `word`. */
  writeCache(label: string, word: string): void {
    const source = FakeCheckout.#source(label, word);
    inPlainNode(
      `
      const code = new Script(wrap(args[2])).createCachedData();
      writeFileSync(args[0], Buffer.concat([Buffer.from(args[1]), code]));`,
      `${this.bundle}.cache`,
      label,
      source,
    );
  }

  label(id: string): string {
    // The second one is never there, as where another package manager installed.
    const files = ["packages/cli/dist/src.tsbuildinfo", "node_modules/.package-lock.json"];
    return `// bundle ${id} of ${launcherIn(join(this.#folder, "bin")).stampOf(files)}`;
  }

  static #source(label: string, word: string): string {
    return `${label}\nconst word = "${word}";\nexports.main = () => console.log(word);\n`;
  }

  /** What ran. */
  run(...options: string[]): string {
    const program = join(this.#folder, "bin/etcdctl");
    const { stdout, stderr } = spawnSync(process.execPath, [...options, program]);
    assert.equal(String(stderr), "");
    return String(stdout).trimEnd();
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

test("a bundle runs as long as it is of what the compiler wrote last", () => {
  using checkout = new FakeCheckout();
  assert.equal(checkout.run(), "bundle");
  utimesSync(checkout.compiled, 1e9, 1e9);
  assert.equal(checkout.run(), "modules");
});

test("without a bundle, or with modules that nobody knows the age of, the modules run", () => {
  using checkout = new FakeCheckout();
  rmSync(checkout.compiled);
  assert.equal(checkout.run(), "modules");
  rmSync(checkout.bundle);
  assert.equal(checkout.run(), "modules");
});

test("whoever asks for lines of the sources gets the modules", () => {
  using checkout = new FakeCheckout();
  assert.equal(checkout.run("--enable-source-maps"), "modules");
});

test("the code cache of another bundle is not taken, one that says that it is of this bundle is", () => {
  using checkout = new FakeCheckout();
  // Of the same length: V8 itself would not see a difference.
  checkout.writeCache(checkout.label("2"), "wicked");
  assert.equal(checkout.run(), "bundle");
  checkout.writeCache(checkout.label("1"), "wicked");
  assert.equal(checkout.run(), "wicked");
});
