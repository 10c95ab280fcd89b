// Repository checks that neither the compiler nor the linter makes. Plain JavaScript, so that it runs
// before anything is built. Prints one line per finding and exits 1 when there is one.
//
//  - the imports of each package, in its sources and its package.json, are those of the picture in
//    ARCHITECTURE.md, and what is imported is declared;
//  - sources outside the packages that may touch the system import no `node:` module;
//  - the clock and the dice are the Host's;
//  - generated files say so, sources have no default export and no `export *`, lock files name no host.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const scope = "@etcd-ts/";

/** Workspace packages that the sources of each may import. */
const allowed = {
  base: [],
  raft: ["base"],
  api: ["base"],
  machine: ["api", "base"],
  storage: ["raft", "machine", "base"],
  rpc: ["base"],
  node: ["machine", "base"],
  lmdb: ["machine", "base"],
  server: ["storage", "rpc", "machine", "raft", "api", "base"],
  client: ["rpc", "api", "base", "node"],
  sim: ["server", "client", "storage", "rpc", "machine", "raft", "api", "base"],
  cli: ["server", "client", "node", "lmdb", "storage", "rpc", "machine", "raft", "api", "base"],
  conformance: null,
  bench: null,
  tools: null,
};

/** Packages whose sources may use Node's modules and the real clock. */
const impure = new Set(["node", "lmdb", "sim", "cli", "conformance", "bench", "tools"]);
/** Packages whose sources may read the clock or throw dice without a Host. */
const clockUsers = new Set(["node", "conformance", "bench", "tools"]);

const findings = [];
const report = (file, what) => findings.push(`${relative(root, file)}: ${what}`);

for (const [name, edges] of Object.entries(allowed)) {
  const folder =
    name === "conformance" || name === "bench" || name === "tools"
      ? join(root, name)
      : join(root, "packages", name);
  const manifestFile = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(manifestFile, "utf8"));
  const runtime = Object.keys(manifest.dependencies ?? {});
  const declared = new Set([...runtime, ...Object.keys(manifest.devDependencies ?? {})]);
  if (edges !== null) {
    for (const dependency of runtime) {
      if (dependency.startsWith(scope) && !edges.includes(dependency.slice(scope.length))) {
        report(manifestFile, `depends on ${dependency}, which ARCHITECTURE.md does not allow`);
      }
    }
  }
  for (const kind of ["src", "test", "bench"]) {
    for (const file of sources(join(folder, kind))) {
      const text = readFileSync(file, "utf8");
      for (const specifier of imports(text)) {
        if (specifier.startsWith(".")) continue;
        if (specifier.startsWith("node:")) {
          if (kind === "src" && !impure.has(name)) report(file, `imports ${specifier}`);
          continue;
        }
        const packageName = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
        if (packageName === manifest.name) continue;
        const known = kind === "src" ? new Set(runtime) : declared;
        if (!known.has(packageName)) {
          const typesOnly = kind === "src" && declared.has(packageName) && name === "tools";
          if (!typesOnly)
            report(file, `imports ${packageName}, which package.json does not declare`);
        }
      }
      if (kind === "src") {
        if (/^export default\b/m.test(text) && !text.includes("noDefaultExport:"))
          report(file, "has a default export");
        if (/^export \*/m.test(text)) report(file, "re-exports everything (export *)");
        if (!clockUsers.has(name)) {
          const code = withoutComments(text);
          for (const call of ["Date.now(", "new Date()", "Math.random(", "performance.now("]) {
            if (code.includes(call)) report(file, `${call} belongs to the Host`);
          }
        }
      }
    }
  }
}

const lock = join(root, "package-lock.json");
if (/"resolved": "https?:/.test(readFileSync(lock, "utf8"))) {
  report(lock, "names download addresses (omit-lockfile-registry-resolved is set in .npmrc)");
}

for (const line of findings) process.stderr.write(`${line}\n`);
if (findings.length > 0) {
  process.stderr.write(`tidy: ${findings.length} findings\n`);
  process.exit(1);
}

function sources(folder) {
  let names;
  try {
    names = readdirSync(folder);
  } catch {
    return []; // a package without tests or benchmarks
  }
  const found = [];
  for (const name of names) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) found.push(...sources(path));
    else if (/\.(ts|mjs|js)$/.test(name)) found.push(path);
  }
  return found;
}

function imports(text) {
  const found = [];
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^"'`;]*?from\s*"([^"]+)"|(?:^|\n)import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/g;
  for (const match of withoutComments(text).matchAll(pattern)) {
    found.push(match[1] ?? match[2] ?? match[3]);
  }
  return found;
}

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}
