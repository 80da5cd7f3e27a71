// cluster.e2e.test.ts: `npm run cluster` as people run it: from nothing to served, one node killed, stopped, and started again.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@forelock/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../workspace.ts";
import { choosePorts } from "./ports.ts";

const STARTED_MS_MAX = 150_000;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "forelock-cluster-"));
  const { status, stderr } = spawnSync(process.execPath, ["scripts/run.mjs", "build"], { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}, 180_000);

afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

class Started {
  readonly #child;
  readonly ended: Promise<number | null>;
  text = "";

  constructor(argv: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#child = spawn(process.execPath, ["scripts/dist/cluster/main.js", ...argv], {
      ...{ cwd: ROOT, stdio: "pipe", env },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on("data", (chunk: Buffer) => {
        this.text += chunk.toString();
      });
    this.ended = new Promise((resolve) => this.#child.once("exit", resolve));
  }

  until(wanted: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = wanted.exec(this.text);
        if (found !== null) resolve(found[1] ?? "");
      };
      for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on("data", () => setImmediate(look));
      void this.ended.then(() => reject(new Error(`It ended:\n${this.text}`)));
      look();
    });
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  async stop(): Promise<number | null> {
    this.#child.kill("SIGINT");
    return this.ended;
  }
}

const hasEtcd = spawnSync("etcd", ["--version"]).status === 0;
if (!hasEtcd) process.stdout.write("The program etcd is missing: what needs it is skipped.\n");

describe.skipIf(!hasEtcd)("npm run cluster", () => {
  test(
    "three nodes serve, one of them dies and comes back, and all is there after a restart",
    async () => {
      const first = new Started(["--data", folder]);
      const endpoint = await first.until(/a on (\S+),[\s\S]*Ctrl-C stops it all/);
      for (const said of ["cluster status", "forelock lock", "kill -9", "dashboard  http://"])
        expect(first.text).toContain(said);
      const version = await (async () => {
        await using client = await connect({ endpoints: endpoint });
        await using lock = await client.lock("demo/1");
        return (await client.file("demo/1").append("kept", { token: lock.token })).version;
      })();
      process.kill(Number(await first.until(/kill -9 (\d+)/)), "SIGKILL");
      await first.until(/(\[b\] +ended \(SIGKILL\))/);
      first.type("b");
      await first.until(/(\[b\] +starts again)/);
      expect(await first.stop()).toBe(0);
      expect(first.text).toContain("Stopped. The data is kept");

      const ports = JSON.parse(await readFile(join(folder, "ports.json"), "utf8"));
      const second = new Started(["--data", folder]);
      const again = await second.until(/a on (\S+),[\s\S]*Ctrl-C stops it all/);
      expect(JSON.parse(await readFile(join(folder, "ports.json"), "utf8"))).toMatchObject({
        etcd: ports.etcd,
        peers: ports.peers,
      });
      {
        await using client = await connect({ endpoints: again });
        await using lock = await client.lock("demo/1");
        const next = await client.file("demo/1").append("too", { token: lock.token });
        expect(next).toMatchObject({ index: 1, offset: 4 });
        expect(next.version).not.toBe(version);
      }
      expect(await second.stop()).toBe(0);
    },
    STARTED_MS_MAX,
  );
});

test("without etcd it says how to install it, and leaves no process", async () => {
  const started = new Started(["--data", join(folder, "none")], { ...process.env, PATH: join(folder, "empty") });
  expect(await started.ended).toBe(1);
  expect(started.text).toContain("sudo apt-get install etcd-server");
});

test.each([
  [["--port", "80"], '--port is "80"'],
  [["--colour", "red"], "--colour"],
])("%s is refused before anything starts", async (argv, message) => {
  const started = new Started([...argv, "--data", join(folder, "refused")]);
  expect(await started.ended).toBe(1);
  expect(started.text).toContain(message);
});

test("ports stay those of the first start; those of etcd cannot be told anew", async () => {
  const wish = { node: undefined, etcd: undefined };
  const first = await choosePorts(folder, wish);
  expect(new Set([...first.etcd, ...first.peers, ...first.nodes]).size).toBe(9);
  expect(await choosePorts(folder, wish)).toEqual(first);
  await expect(choosePorts(folder, { ...wish, etcd: 20_000 })).rejects.toThrow("which cannot change");
  expect(existsSync(join(folder, "ports.json"))).toBe(true);
});
