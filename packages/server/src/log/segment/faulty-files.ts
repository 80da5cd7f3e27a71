// faulty-files.ts: fails chosen calls of another file system, as disks do. For the simulator and the tests.
//   A failed write may have written some of its bytes; a failed sync, rename or removal may have happened or not.
import type { Files, OpenFile } from "./files.ts";

export type FileCall =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "size"
  | "close"
  | "rename"
  | "remove"
  | "list"
  | "makeFolder"
  | "syncFolder";

/** `short` takes half of a write and says so; it only applies to writes. The others reject. */
export type FileFault = "EIO" | "ENOSPC" | "short";

/** Asked before every call, in order; `undefined` lets it through. */
export type FaultPlan = (call: FileCall, path: string) => FileFault | undefined;

export function faultyFiles(files: Files, plan: FaultPlan): Files {
  const run = <Result>(call: FileCall, path: string, act: () => Promise<Result>): Promise<Result> => {
    const fault = plan(call, path);
    return fault === undefined || fault === "short" ? act() : Promise.reject(faultError(fault, call, path));
  };
  return {
    open: (path, mode) => run("open", path, async () => faultyFile(await files.open(path, mode), path, plan)),
    rename: (from, to) => run("rename", to, () => files.rename(from, to)),
    remove: (path) => run("remove", path, () => files.remove(path)),
    list: (folder) => run("list", folder, () => files.list(folder)),
    makeFolder: (path) => run("makeFolder", path, () => files.makeFolder(path)),
    syncFolder: (path) => run("syncFolder", path, () => files.syncFolder(path)),
  };
}

function faultyFile(file: OpenFile, path: string, plan: FaultPlan): OpenFile {
  const run = <Result>(call: FileCall, act: () => Promise<Result>): Promise<Result> => {
    const fault = plan(call, path);
    return fault === undefined || fault === "short" ? act() : Promise.reject(faultError(fault, call, path));
  };
  return {
    read: (into, at) => run("read", () => file.read(into, at)),
    async write(bytes, at) {
      const fault = plan("write", path);
      if (fault === undefined) return file.write(bytes, at);
      const half = bytes.subarray(0, bytes.byteLength >> 1);
      const written = await file.write(half, at);
      if (fault === "short") return written;
      throw faultError(fault, "write", path);
    },
    ...(file.writeNow === undefined ? {} : { writeNow: faultyWriteNow(file.writeNow.bind(file), path, plan) }),
    sync: () => run("sync", () => file.sync()),
    size: () => run("size", () => file.size()),
    async close() {
      const fault = plan("close", path);
      await file.close(); // The descriptor is gone either way, as after close(2).
      if (fault === "EIO" || fault === "ENOSPC") throw faultError(fault, "close", path);
    },
  };
}

type WriteNow = NonNullable<OpenFile["writeNow"]>;

function faultyWriteNow(writeNow: WriteNow, path: string, plan: FaultPlan): WriteNow {
  return (bytes, at) => {
    const fault = plan("write", path);
    if (fault === undefined) return writeNow(bytes, at);
    const written = writeNow(bytes.subarray(0, bytes.byteLength >> 1), at);
    if (fault === "short") return written;
    throw faultError(fault, "write", path);
  };
}

function faultError(fault: FileFault, call: FileCall, path: string): Error {
  return Object.assign(new Error(`${fault}: injected into ${call} of '${path}'`), { code: fault });
}
