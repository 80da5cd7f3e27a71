// profile-keeper.ts: what was learned, kept over restarts: read at the start, written now and then and at the end. Losing it costs
// nothing but learning anew, so a file that cannot be read or written is noted and nothing more.
import type { Clock, Timer } from "../clock.ts";
import type { Profiles } from "./profiles.ts";

export interface ProfileStore {
  /** Undefined when nothing was saved yet. */
  load(): Promise<Uint8Array | undefined>;
  /** Replaces what was saved before, whole or not at all. */
  save(bytes: Uint8Array): Promise<void>;
}

export interface ProfileKeeperOptions {
  readonly profiles: Profiles;
  readonly store: ProfileStore;
  readonly clock: Clock;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Writing takes the main thread some milliseconds for each thousand pairs of client and element. */
const SAVE_MS = 300_000;

export class ProfileKeeper {
  readonly #options: ProfileKeeperOptions;
  #timer: Timer | undefined;
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: ProfileKeeperOptions) {
    this.#options = options;
    this.#arm();
  }

  /** Restores what was saved, and saves from now on. */
  static async start(options: ProfileKeeperOptions): Promise<ProfileKeeper> {
    try {
      const bytes = await options.store.load();
      if (bytes !== undefined) options.profiles.restore(bytes);
    } catch (error) {
      options.note("profiles not read; forecasts start afresh", { error: String(error) });
    }
    return new ProfileKeeper(options);
  }

  async close(): Promise<void> {
    this.#timer?.dispose();
    this.#save();
    await this.#saving;
  }

  #arm(): void {
    this.#timer = this.#options.clock.after(SAVE_MS, () => {
      this.#save();
      this.#arm();
    });
  }

  #save(): void {
    const { profiles, store, note } = this.#options;
    this.#saving = this.#saving
      .then(() => store.save(profiles.save()))
      .catch((error: unknown) => note("profiles not written", { error: String(error) }));
  }
}
