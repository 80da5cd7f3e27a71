// run.mjs: what every npm script goes through: installs what is missing, builds what is stale, then acts. So `npm start` and `npm test`
// are all that a fresh clone needs, and both work offline from then on. Uses nothing but Node, because it must run before an install;
// that is why it is not TypeScript.
//
//   node scripts/run.mjs install           only this
//   node scripts/run.mjs build             install and build
//   node scripts/run.mjs pages             install, and build the dashboard only
//   node scripts/run.mjs node FILE ARGS    then run a built file in this process
//   node scripts/run.mjs bin NAME ARGS     then run a tool of node_modules
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inRoot = (...parts) => join(root, ...parts);

const [action = "build", target = "", ...args] = process.argv.slice(2);
if (!isInstalled()) install();
if (action === "pages") buildPages();
else if (action !== "install") build();
if (action === "node") await runHere(inRoot(target));
else if (action === "bin") process.exitCode = run(toolPath(target), args, "inherit").status;

/** Whether node_modules holds what the lock file lists. Its own time stamp would not tell: a checkout touches the lock file. */
function isInstalled() {
  const installed = inRoot("node_modules", ".package-lock.json"); // Written by npm when all else is in place.
  if (!existsSync(installed)) return false;
  const found = JSON.parse(readFileSync(installed, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(inRoot("package-lock.json"), "utf8")).packages;
  return Object.entries(wanted).every(([path, { version, optional, peer }]) => {
    const isNeeded = path.includes("node_modules/") && !optional && !peer; // Optional ones are for other systems.
    return !isNeeded || (found[path]?.version === version && existsSync(inRoot(path))); // The listing can outlive a folder.
  });
}

function install() {
  process.stderr.write("Installing packages (once) ...\n");
  const npm = process.env.npm_execpath; // The npm that runs this script, where there is one.
  const parameters = ["ci", "--no-audit", "--no-fund"];
  const { status } =
    npm === undefined ? run("npm", parameters, "stderr") : run(process.execPath, [npm, ...parameters], "stderr");
  if (status !== 0) fail("npm ci failed. The first run needs the network or a filled npm cache.");
}

/** Quiet unless it fails. */
function build() {
  const { status } = run(toolPath("tsc"), ["-b"], "stderr");
  if (status !== 0) fail("The build failed; see the errors above.");
  const packages = readdirSync(inRoot("packages")).map((name) => inRoot("packages", name));
  const changedMs = Math.max(...packages.map((folder) => newestMs(folder)));
  for (const folder of packages) {
    const stamp = join(folder, "dist", ".bundled"); // Inside dist, so that deleting dist forgets it.
    const isFresh = existsSync(stamp) && statSync(stamp).mtimeMs > changedMs;
    if (isFresh || !existsSync(join(folder, "rolldown.config.ts"))) continue;
    const bundled = run(toolPath("rolldown"), ["-c", "rolldown.config.ts"], "quiet", folder);
    if (bundled.status !== 0) fail(`Bundling ${folder} failed; see the errors above.`);
    writeFileSync(stamp, "");
  }
  buildPages();
}

/** The dashboard, into the server's folder: into a new place first, so that a server that starts meanwhile finds one or the other. */
function buildPages() {
  const folder = inRoot("packages", "dashboard");
  const target = inRoot("packages", "server", "dist", "dashboard");
  const stamp = join(target, ".built");
  if (!existsSync(join(folder, "vite.config.ts"))) return;
  const changedMs = Math.max(newestMs(folder), statSync(inRoot("package-lock.json")).mtimeMs);
  if (existsSync(stamp) && statSync(stamp).mtimeMs > changedMs) return;
  const fresh = `${target}-${process.pid}`;
  const built = run(toolPath("vite"), ["build", "--outDir", fresh], "quiet", folder);
  if (built.status !== 0) fail(`Building ${folder} failed; see the errors above.`);
  rmSync(target, { recursive: true, force: true });
  renameSync(fresh, target);
  writeFileSync(stamp, "");
}

/** When something that a bundle is made of last changed. */
function newestMs(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  const inside = readdirSync(path).filter((name) => name !== "node_modules" && name !== "dist");
  // A folder's own time counts too, but for the package's: dist comes and goes there.
  return Math.max(
    existsSync(join(path, "package.json")) ? 0 : mtimeMs,
    ...inside.map((name) => newestMs(join(path, name))),
  );
}

/** In this process, so that signals and standard input reach it without a go-between. */
async function runHere(file) {
  if (!existsSync(file)) fail(`${target} does not exist: this part is not built.`);
  process.argv = [process.execPath, file, ...args];
  await import(pathToFileURL(file).href);
}

function toolPath(name) {
  return inRoot("node_modules", ".bin", name);
}

/** @param output "inherit"; "stderr", to keep the standard output for what comes after; "quiet", shown only when it fails */
function run(command, parameters, output, cwd = root) {
  const sink = output === "quiet" ? "pipe" : process.stderr;
  const stdio = output === "inherit" ? "inherit" : ["ignore", sink, sink];
  const done = spawnSync(command, parameters, { cwd: resolve(cwd), stdio });
  if (done.error !== undefined) fail(`${command}: ${done.error.message}`);
  if (done.status !== 0 && output === "quiet") process.stderr.write(`${done.stdout}${done.stderr}`);
  return { status: done.status ?? 1 };
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
