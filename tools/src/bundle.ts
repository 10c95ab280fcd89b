// `npm run build`, after the compiler: puts each of the tools into one file, for `bin/launch.js` to run.
//
//     packages/cli/dist/bundle/etcd/main.js          all modules of `etcd` and LMDB's, readable, their names kept
//                                   main.js.map      for a debugger
//                                   main.js.cache    V8's code for all functions of it
//                                   write-worker.js  the thread that the backend on LMDB starts
//
// docs/decisions/start-up.md has the figures, and what was left.

import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";
import { build } from "esbuild";

/** `bin/launch.js`. */
interface Launcher {
  bundlePath(tool: string): string;
  readBundle(tool: string): { path: string; label: string; source: string } | undefined;
  readCache(path: string, label: string): Buffer | undefined;
  stampOf(files: readonly string[]): string;
  wrap(source: string): string;
}

const root = fileURLToPath(new URL("../../..", import.meta.url));
const launcher = createRequire(import.meta.url)(join(root, "bin/launch.js")) as Launcher;
const tools = ["etcd", "etcdctl", "etcdutl"];
const scope = "@etcd-ts/";
/** Packages of the workspace that a tool may hold. */
const packages = [
  "cli",
  ...dependencies("cli")
    .filter(isOwn)
    .map((it) => it.slice(scope.length)),
];
const lmdbMain = createRequire(join(root, "packages/lmdb/package.json")).resolve("lmdb");

for (const tool of tools) if (!isCurrent(tool)) await bundle(tool);

/** False also when another version of Node made the code. */
function isCurrent(tool: string): boolean {
  const found = launcher.readBundle(tool);
  if (found === undefined) return false;
  const cachedData = launcher.readCache(found.path, found.label);
  const script = new Script(launcher.wrap(found.source), { cachedData });
  return script.cachedDataRejected === false;
}

async function bundle(tool: string): Promise<void> {
  // Before any module is read: should the compiler run at the same time, the bundle is out of date at once.
  const label = `// bundle ${randomUUID()} of ${launcher.stampOf(bundledFiles())}`;
  const main = launcher.bundlePath(tool);
  const folder = dirname(main);
  const { outputFiles } = await build({
    entryPoints: [
      { in: compiled("cli", `${tool}/main.js`), out: "main" },
      ...(tool === "etcdctl"
        ? []
        : [{ in: compiled("lmdb", "write-worker.js"), out: "write-worker" }]),
    ],
    outdir: folder,
    bundle: true,
    write: false,
    platform: "node",
    target: "node20.19",
    format: "cjs",
    alias: { lmdb: lmdbMain },
    external: outsidePackages(),
    // `require` for what is loaded late of other packages.
    supported: { "dynamic-import": false },
    banner: { js: [label, ...placesOf(folder)].join("\n") },
    define: {
      "import.meta.url": "bundleUrl",
      __filename: "lmdbMain",
      // lmdb-js reads and writes no MessagePack for us: no second native module for that.
      "process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED": '"true"',
    },
    // All but the comments. The launcher takes each byte for a character.
    charset: "ascii",
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    logLevel: "warning",
  });
  // The old one is there, or none, or all of the new one, whatever happens: V8 does not look for damage in its code.
  const newFolder = `${folder}.new`;
  rmSync(newFolder, { recursive: true, force: true });
  mkdirSync(newFolder, { recursive: true });
  writeFileSync(join(newFolder, "package.json"), `{ "type": "commonjs" }\n`);
  for (const { path, contents } of outputFiles) {
    const newPath = join(newFolder, basename(path));
    writeFileSync(newPath, contents, { flush: true });
    if (path === main) {
      writeFileSync(`${newPath}.cache`, codeCache(path, label, contents), { flush: true });
    }
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(newFolder, folder);
}

/** What a bundle is made of changes when one of these files is written anew. */
function bundledFiles(): string[] {
  return [
    ...packages.map((it) => `packages/${it}/dist/src.tsbuildinfo`),
    "tools/dist/src.tsbuildinfo",
    "node_modules/.package-lock.json",
  ];
}

/** Lines that say where a bundle in this folder is, and where LMDB's package, which finds its binary from there. */
function placesOf(folder: string): string[] {
  const lmdb = JSON.stringify(relative(folder, lmdbMain));
  return [
    'const bundleUrl = require("node:url").pathToFileURL(__filename).href;',
    `const lmdbMain = require("node:path").join(__dirname, ${lmdb});`,
  ];
}

/** Packages of others that are not bundled: those with a binary or that are hardly ever loaded, and what LMDB's does not load. */
function outsidePackages(): string[] {
  const used = packages.flatMap(dependencies).filter((it) => !isOwn(it) && it !== "lmdb");
  return [...used, "msgpackr-extract", "bun:ffi"];
}

/**
 * All functions compiled, not only those that have run. The flag is taken back before the cache is made: V8 accepts one
 * under the flags only under which it was made.
 */
function codeCache(path: string, label: string, contents: Uint8Array): Buffer {
  setFlagsFromString("--no-lazy");
  const source = Buffer.from(contents).toString("latin1");
  const script = new Script(launcher.wrap(source), { filename: path });
  setFlagsFromString("--lazy");
  return Buffer.concat([Buffer.from(label, "latin1"), script.createCachedData()]);
}

function compiled(name: string, file: string): string {
  return join(root, "packages", name, "dist/src", file);
}

function dependencies(name: string): string[] {
  const text = readFileSync(join(root, "packages", name, "package.json"), "utf8");
  const manifest = JSON.parse(text) as { dependencies?: Record<string, string> };
  return Object.keys(manifest.dependencies ?? {});
}

function isOwn(name: string): boolean {
  return name.startsWith(scope);
}
