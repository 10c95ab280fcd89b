// Starts a tool. Its modules are some hundred small files, and reading them one by one is most of what a start costs; so the
// build puts each tool into one file, with V8's code cache beside it (tools/src/bundle.ts). That bundle is run as long
// as it is of what the compiler wrote last; otherwise, after a bare `tsc -b` for instance, the modules themselves are,
// which is slower and nothing else. They are also run under `--enable-source-maps`, for traces with lines of the sources.
//
// CommonJS, because that starts sooner, and plain JavaScript, because it says whether anything compiled is to be used.

const { readFileSync, statSync } = require("node:fs");
const { createRequire } = require("node:module");
const { dirname, join } = require("node:path");
const { Script } = require("node:vm");

const root = join(__dirname, "..");

/** Becomes the tool: nobody waits for it. */
exports.launch = function launch(tool) {
  const bundle = process.sourceMapsEnabled ? undefined : exports.readBundle(tool);
  if (bundle === undefined) {
    import(`../packages/cli/dist/src/${tool}/main.js`).then((modules) => modules.main());
  } else exports.runBundle(bundle).main();
};

/** Where the bundle of a tool is; its code cache is beside it, under the same name and `.cache`. */
exports.bundlePath = function bundlePath(tool) {
  return join(root, "packages/cli/dist/bundle", tool, "main.js");
};

/** The bundle of a tool, or nothing when there is none of what is compiled now. */
exports.readBundle = function readBundle(tool) {
  const path = exports.bundlePath(tool);
  const source = read(path)?.toString("latin1");
  if (source === undefined) return undefined;
  // Its first line: `// bundle ID of FILE=TIME FILE=TIME`, as the bundler found them before it read any module.
  const label = source.slice(0, source.indexOf("\n"));
  const stamp = label.slice(label.indexOf(" of ") + " of ".length);
  const files = stamp.split(" ").map((each) => each.slice(0, each.indexOf("=")));
  return exports.stampOf(files) === stamp ? { path, label, source } : undefined;
};

/** When these files were written: what the compiler and npm leave behind when they are done. */
exports.stampOf = function stampOf(files) {
  return files
    .map((file) => `${file}=${statSync(`${root}/${file}`, { throwIfNoEntry: false })?.mtimeMs}`)
    .join(" ");
};

/** What is compiled, on one line with the first one of the bundle: the others keep their numbers. */
exports.wrap = function wrap(source) {
  return `(function (exports, require, module, __filename, __dirname) {${source}\n})`;
};

/** The exports of a bundle. */
exports.runBundle = function runBundle({ path, label, source }) {
  const script = new Script(exports.wrap(source), {
    filename: path,
    cachedData: exports.readCache(path, label),
  });
  const module = { exports: {} };
  const run = script.runInThisContext();
  run(module.exports, createRequire(path), module, path, dirname(path));
  return module.exports;
};

/**
 * V8 itself refuses a cache that another version or other settings made, but of the source it looks at the length only: the
 * cache begins with the first line of the bundle that it was made of.
 */
exports.readCache = function readCache(path, label) {
  const cache = read(`${path}.cache`);
  const isOfBundle = cache?.latin1Slice(0, label.length) === label;
  return isOfBundle ? cache.subarray(label.length) : undefined;
};

function read(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}
