// place.ts: where the server's data rests: a plain folder, or a file system of its own in an image, whose power can be cut.
//   P1. A power cut shows what had reached the image: what the file system still kept in memory is gone.
//   P2. Whatever was mounted is unmounted in the end.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";

export interface Place {
  readonly dataFolder: string;
  /** Cuts the power and comes up again with what had reached the disk. The server must be frozen before; `kill` ends it. */
  readonly cutPower: ((kill: () => Promise<void>) => Promise<void>) | undefined;
  /** Takes all free space. Returns a function that gives it back. */
  readonly fill: (() => () => void) | undefined;
  /** Brings to the disk what the file system keeps in memory. */
  settle(): void;
  remove(): void;
}

const IMAGE_BYTES = "768M";
const FILLER = "filler";

export function plainPlace(folder: string): Place {
  const dataFolder = join(folder, "data");
  mkdirSync(dataFolder, { recursive: true });
  return { dataFolder, cutPower: undefined, fill: undefined, settle: () => {}, remove: () => {} };
}

/** @returns why not, when this process may not mount */
export function imagePlace(folder: string): Place | string {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs Linux and root";
  const [image, next, mount] = [join(folder, "disk.img"), join(folder, "cut.img"), join(folder, "disk")];
  mkdirSync(mount, { recursive: true });
  try {
    run("truncate", "-s", IMAGE_BYTES, image);
    run("mkfs.ext4", "-q", "-m", "0", image);
    mountImage(image, mount);
  } catch (error) {
    return `cannot mount an image: ${firstLine(error)}`;
  }
  const dataFolder = join(mount, "data");
  mkdirSync(dataFolder);
  run("sync", "-f", mount);
  return {
    dataFolder,
    cutPower: async (kill) => {
      run("cp", "--sparse=always", image, next); // P1
      await kill();
      run("umount", mount);
      run("mv", next, image);
      mountImage(image, mount);
    },
    fill: () => fill(mount),
    settle: () => run("sync", "-f", mount),
    remove: () => {
      if (existsSync(mount)) run("umount", "-l", mount); // P2
    },
  };
}

function fill(mount: string): () => void {
  const filler = join(mount, FILLER);
  // The server goes on taking space meanwhile, and blocks are needed to note blocks: so in falling steps, down to the last one.
  for (const share of [0.9, 0.9, 0.9, 0.9]) {
    const { bavail, bsize } = statfsSync(mount);
    ignoreFailure(() =>
      run("fallocate", "-o", String(sizeOf(filler)), "-l", String(Math.floor(bavail * share) * bsize), filler),
    );
  }
  ignoreFailure(() => run("dd", "if=/dev/zero", `of=${filler}.rest`, "bs=4096", "status=none")); // Ends when nothing is left.
  return () => {
    rmSync(filler, { force: true });
    rmSync(`${filler}.rest`, { force: true });
  };
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}

/** For what is meant to meet the end of the disk. */
function ignoreFailure(work: () => void): void {
  try {
    work();
  } catch {
    // The disk is full: that is what it is for.
  }
}

/** Commits of the file system's own are rare: what reaches the image is what the server asked for. */
function mountImage(image: string, mount: string): void {
  run("mount", "-o", "loop,commit=60", image, mount);
}

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { stdio: "pipe" });
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
