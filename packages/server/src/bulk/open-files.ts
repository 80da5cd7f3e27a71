// open-files.ts: which files of the disk store are open, and which folders have entries that a crash could lose.
//   O1. At most `openFilesMax` files are open, two descriptors each; the least recently used one that is not in use is closed.
//   O2. A folder is dirty from the creation of a file in it, and from the first use by this process: the one before may have
//       created files and died before its sync.
//
// Known flaw: a descriptor may be closed while its file is dirty, and is opened again for the sync. Linux then still reports a failed
// write-back, unless the inode left memory in between. Keeping all dirty descriptors open would remove it, at no bound on their number.

import { DiskFile } from "./disk-file.ts";
import { type Files, folderOf, type OpenFile } from "./files.ts";

export interface OpenFilesOptions {
  /** Folder of all files, which exists. */
  readonly folder: string;
  readonly files: Files;
  /** At least the number of files used at once. */
  readonly openFilesMax: number;
}

export class OpenFiles {
  readonly #options: OpenFilesOptions;
  /** By path without extension, least recently used first. */
  readonly #openByPath = new Map<string, DiskFile>();
  readonly #used = new Set<string>();
  readonly #knownFolders = new Set<string>();
  readonly #dirtyFolders = new Set<string>();
  #places = 0;

  constructor(options: OpenFilesOptions) {
    this.#options = options;
  }

  /**
   * Lends one file to `task`. No file is lent twice at once.
   * @param path without extension
   * @param missing whether to create it, or to hand `undefined` to the task, when there is no such file
   */
  async use<Result>(
    path: string,
    missing: "create" | "skip",
    task: (file: DiskFile | undefined) => Promise<Result>,
  ): Promise<Result> {
    this.#used.add(path);
    try {
      if (missing === "create") await this.#knowFolder(folderOf(path));
      return await task(await this.#take(path, missing));
    } finally {
      this.#used.delete(path);
    }
  }

  isOpen(path: string): boolean {
    return this.#openByPath.has(path);
  }

  /** The folders to sync, which count as clean from now on. */
  takeDirtyFolders(): readonly string[] {
    const folders = [...this.#dirtyFolders];
    this.#dirtyFolders.clear();
    return folders;
  }

  /** Closes those whose path begins so, but what is in use just now. */
  async forget(prefix: string): Promise<void> {
    for (const [path, file] of [...this.#openByPath]) {
      if (!path.startsWith(prefix) || this.#used.has(path)) continue;
      this.#openByPath.delete(path);
      await file.close();
    }
  }

  /** Closes all files; none may be in use. */
  async close(): Promise<void> {
    const open = [...this.#openByPath.values()];
    this.#openByPath.clear();
    await Promise.all(open.map((file) => file.close()));
  }

  async #take(path: string, missing: "create" | "skip"): Promise<DiskFile | undefined> {
    const known = this.#openByPath.get(path);
    if (known !== undefined) {
      this.#openByPath.delete(path); // To the end: most recently used.
      this.#openByPath.set(path, known);
      return known;
    }
    this.#places += 1; // Taken before the wait below, so that two at once do not both find the last place. O1
    try {
      await this.#makePlace();
      const file = await this.#open(path, missing);
      if (file !== undefined) this.#openByPath.set(path, file);
      return file;
    } finally {
      this.#places -= 1;
    }
  }

  async #makePlace(): Promise<void> {
    for (const [path, file] of this.#openByPath) {
      if (this.#openByPath.size + this.#places <= this.#options.openFilesMax) return;
      if (this.#used.has(path)) continue;
      this.#openByPath.delete(path);
      await file.close();
    }
  }

  async #open(path: string, missing: "create" | "skip"): Promise<DiskFile | undefined> {
    const data = await this.#openOne(`${path}.data`, missing);
    if (data === undefined) return undefined;
    const close: OpenFile[] = [data];
    try {
      const index = await this.#openOne(`${path}.index`, missing);
      if (index !== undefined) close.push(index);
      // Data without an index holds nothing that was acknowledged: a crash lost the entry of the folder, and a replay makes both.
      if (index !== undefined) return await DiskFile.from(path, data, index);
    } catch (error) {
      await Promise.allSettled(close.map((file) => file.close()));
      throw error;
    }
    await data.close();
    return undefined;
  }

  async #openOne(path: string, missing: "create" | "skip"): Promise<OpenFile | undefined> {
    const { files } = this.#options;
    const open = await files.open(path);
    if (open !== undefined || missing === "skip") return open;
    this.#dirtyFolders.add(folderOf(path));
    return files.create(path);
  }

  /** Makes the folder of one partition, once. O2 */
  async #knowFolder(folder: string): Promise<void> {
    if (this.#knownFolders.has(folder)) return;
    await this.#options.files.createFolder(folder);
    this.#dirtyFolders.add(this.#options.folder);
    this.#dirtyFolders.add(folder);
    this.#knownFolders.add(folder);
  }
}
