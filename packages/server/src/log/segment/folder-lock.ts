// folder-lock.ts: keeps a second server off a data folder. The lock is a listening unix socket in the folder: the kernel closes
// it with its process however that ends, and finds it by its file, whatever process or network namespace asks. Not a lock file
// with a process id: ids repeat, and mean nothing in another container. Not a lock over several machines on one network share.
//   X1. Whoever holds the folder listens on "lock-<n>.sock". Dead ones stay as files, and answer "connection refused".
//   X2. A starter listens first and then links its socket to the next free number, which only one can do; then it looks again,
//       and steps back if anyone else is alive. Of two who link different numbers, the later sees the earlier.
//   X3. Only a holder removes files of the dead, and only those that it found dead after it had linked its own.
import { closeSync, openSync } from "node:fs";
import { link, readdir, readFile, unlink, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { ForelockError } from "@forelock/protocol";
import type { RandomBytes } from "../../clock.ts";

const NAME = /^lock-(\d+)\.sock$/;
const PID_FILE = "lock.pid";
/** Each round means that somebody else started at the same moment. */
const ROUNDS_MAX = 100;

export interface FolderLock {
  /** Lets the next server in. Idempotent. */
  release(): Promise<void>;
}

/** @throws ForelockError `data_in_use` when another server, of this process or any other, holds the folder. */
export async function lockFolder(folder: string, randomBytes: RandomBytes): Promise<FolderLock> {
  const descriptor = openSync(folder, "r"); // Kept open: the short way to the folder, see `socketPath`.
  const own = `starting-${Buffer.from(randomBytes(8)).toString("hex")}.sock`;
  let server: Server | undefined;
  try {
    server = await listen(folder, socketPath(folder, descriptor, own));
    const name = await takeNumber(folder, descriptor, own);
    await writeFile(`${folder}/${PID_FILE}`, `${process.pid} on ${hostname()}\n`);
    return new SocketLock(folder, name, server, descriptor);
  } catch (error) {
    await closeServer(server);
    closeSync(descriptor);
    throw error;
  } finally {
    await unlink(`${folder}/${own}`).catch(() => undefined); // The link keeps the socket; when there is none, it should go.
  }
}

class SocketLock implements FolderLock {
  readonly #folder: string;
  readonly #name: string;
  readonly #server: Server;
  readonly #descriptor: number;
  #released: Promise<void> | undefined;

  constructor(folder: string, name: string, server: Server, descriptor: number) {
    this.#folder = folder;
    this.#name = name;
    this.#server = server;
    this.#descriptor = descriptor;
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async #release(): Promise<void> {
    await unlink(`${this.#folder}/${this.#name}`).catch(() => undefined); // A dead file does no harm: X1.
    await closeServer(this.#server);
    closeSync(this.#descriptor);
  }
}

/** X2: links the socket that listens under `own` to a number of its own. */
async function takeNumber(folder: string, descriptor: number, own: string): Promise<string> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const before = await numbersIn(folder);
    for (const number of before) if (await isAlive(folder, descriptor, lockName(number))) throw await inUse(folder);
    const mine = Math.max(0, ...before) + 1;
    const name = lockName(mine);
    if (!(await linkNew(`${folder}/${own}`, `${folder}/${name}`))) continue;
    const others = (await numbersIn(folder)).filter((number) => number !== mine);
    for (const number of others) {
      if (!(await isAlive(folder, descriptor, lockName(number)))) continue;
      await unlink(`${folder}/${name}`);
      throw await inUse(folder);
    }
    for (const number of others) await unlink(`${folder}/${lockName(number)}`).catch(() => undefined); // X3
    return name;
  }
  throw await inUse(folder);
}

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

async function numbersIn(folder: string): Promise<readonly number[]> {
  const names = await readdir(folder);
  return names
    .map((name) => NAME.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number);
}

function lockName(number: number): string {
  return `lock-${number}.sock`;
}

/**
 * Addresses of sockets end after 108 bytes, and folders may be deep. Linux reaches an open folder by its descriptor; elsewhere
 * the path itself has to fit.
 */
function socketPath(folder: string, descriptor: number, name: string): string {
  return process.platform === "linux" ? `/proc/self/fd/${descriptor}/${name}` : `${folder}/${name}`;
}

function listen(folder: string, path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", (cause) => {
      const message = `The data folder ${folder} cannot hold the socket that keeps a second server off: ${cause.message}.`;
      reject(new ForelockError("bad_setting", message, { cause }));
    });
    server.listen(path, () => resolve(server));
  });
}

function closeServer(server: Server | undefined): Promise<void> {
  return new Promise((resolve) => (server?.listening ? server.close(() => resolve()) : resolve()));
}

/** Whether a process listens. Anything but a clear no counts as yes: a second server is worse than a refused start. */
function isAlive(folder: string, descriptor: number, name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath(folder, descriptor, name));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      resolve(!("code" in error && (error.code === "ECONNREFUSED" || error.code === "ENOENT")));
    });
  });
}

async function inUse(folder: string): Promise<ForelockError> {
  const holder = await readFile(`${folder}/${PID_FILE}`, "utf8").catch(() => ""); // Only for the message.
  const who = holder.trim() === "" ? "another process" : `process ${holder.trim()}`;
  return new ForelockError("data_in_use", `The data folder ${folder} is held by ${who}.`);
}
