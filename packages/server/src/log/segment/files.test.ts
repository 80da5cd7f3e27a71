import { constants } from "node:fs";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { faultyFiles } from "./faulty-files.ts";
import { isNotFound, nodeFiles, type OpenMode, readWhole, replaceWhole, writeFully } from "./files.ts";

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(`${tmpdir()}/forelock-files-`);
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The flags that the kernel keeps for the open file of this path. */
async function flagsOf(path: string): Promise<number> {
  for (const descriptor of await readdir("/proc/self/fd")) {
    if ((await readlink(`/proc/self/fd/${descriptor}`).catch(() => "")) !== path) continue;
    const status = await readFile(`/proc/self/fdinfo/${descriptor}`, "utf8");
    return Number.parseInt(/flags:\s*(\d+)/.exec(status)?.[1] ?? "", 8);
  }
  throw new Error(`${path} is not open`);
}

// Nothing but a power cut would show the flag missing.
test.skipIf(process.platform !== "linux")("a file for durable writes is open with O_DSYNC, others are not", () =>
  withFolder(async (folder) => {
    const path = `${folder}/a`;
    await (await nodeFiles.open(path, "create")).close();
    const isDurable = async (mode: OpenMode): Promise<boolean> => {
      const file = await nodeFiles.open(path, mode);
      const flags = await flagsOf(path);
      await file.close();
      return (flags & constants.O_DSYNC) !== 0;
    };
    expect([await isDurable("write_durable"), await isDurable("write")]).toEqual([true, false]);
  }),
);

test("a short write is continued, one without progress fails", () =>
  withFolder(async (folder) => {
    const path = `${folder}/a`;
    const short = faultyFiles(nodeFiles, (call) => (call === "write" ? "short" : undefined));
    const file = await short.open(path, "create");
    expect(String(await writeFully(file, new Uint8Array(8), 0).catch(String))).toContain("no progress");
    await file.close();
    let writes = 0;
    const once = faultyFiles(nodeFiles, (call) => (call === "write" && writes++ === 0 ? "short" : undefined));
    await replaceWhole(once, folder, "b", Uint8Array.of(1, 2, 3, 4, 5));
    expect([...(await readWhole(nodeFiles, `${folder}/b`))]).toEqual([1, 2, 3, 4, 5]);
    expect(await readdir(folder)).not.toContain("b.tmp");
  }));

test("a missing file and a missing folder are told from other errors", () =>
  withFolder(async (folder) => {
    const errors = await Promise.allSettled([
      nodeFiles.open(`${folder}/none`, "read"),
      nodeFiles.list(`${folder}/none`),
      nodeFiles.remove(`${folder}/none`),
    ]);
    expect(errors.map((one) => one.status === "rejected" && isNotFound(one.reason))).toEqual([true, true, true]);
  }));
