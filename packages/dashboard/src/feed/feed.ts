// feed.ts: keeps one screen up to date: opens its stream, reads it, opens it again when it ends. Not here: what the messages mean
// (screen.ts), how they look (screens/).
//   F1. A lost connection is told, and tried again for ever with growing pauses; what was shown stays, marked as old.
//   F2. A page that nobody sees holds no stream.
//   F3. Nothing of one stream reaches the screen after the next was asked for.
import { AskError, fetchHere } from "../wire/ask.ts";
import { type Parts, type ScreenMessage, take } from "./screen.ts";
import { eventReader } from "./sse.ts";

export type Link =
  | { readonly kind: "opening" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly why: string; readonly sinceMs: number }
  | { readonly kind: "signed_out"; readonly why: string };

export interface Shown {
  readonly link: Link;
  readonly parts: Parts;
}

const RETRY_MS = 500;
const RETRY_MS_MAX = 5_000;
/** The node says something every few seconds: silence means that it is gone, or the network between. */
const SILENCE_MS_MAX = 15_000;

export class Feed {
  readonly #show: (shown: Shown) => void;
  #query = "";
  #parts: Parts = {};
  #link: Link = { kind: "opening" };
  #stream: AbortController | undefined;

  constructor(show: (shown: Shown) => void) {
    this.#show = show;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#stop();
      else if (this.#stream === undefined) this.#start(); // F2
    });
  }

  /** @param query of GET /v1/live. Another screen forgets what was shown; the same one with other words keeps it until they answer. */
  open(query: string, keep: boolean): void {
    this.#query = query;
    if (!keep) this.#parts = {};
    this.#stop();
    this.#start();
  }

  /** Tries again at once, as after a token was given. */
  retry(): void {
    this.#stop();
    this.#start();
  }

  #stop(): void {
    this.#stream?.abort();
    this.#stream = undefined;
  }

  #start(): void {
    const stream = new AbortController();
    this.#stream = stream;
    // A new screen over a connection that was live is no news; nor is another attempt over one that was lost.
    this.#tell(this.#link.kind === "signed_out" ? { kind: "opening" } : this.#link);
    void this.#run(stream);
  }

  /** F1 */
  async #run(stream: AbortController): Promise<void> {
    let pauseMs = RETRY_MS;
    while (!stream.signal.aborted) {
      const link = await this.#read(stream, () => {
        pauseMs = RETRY_MS;
      });
      if (stream.signal.aborted) return; // F3
      this.#tell(link);
      if (link.kind === "signed_out") return;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2);
    }
  }

  /** @returns why the stream ended. Does not reject. */
  async #read(stream: AbortController, opened: () => void): Promise<Link> {
    const silence = new AbortController();
    const signal = AbortSignal.any([stream.signal, silence.signal]);
    const wake = (): ReturnType<typeof setTimeout> => setTimeout(() => silence.abort(), SILENCE_MS_MAX);
    let timer = wake();
    try {
      const response = await fetchHere(`/v1/live?${this.#query}`, { signal });
      const pieces = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      const eventsOf = eventReader();
      for (let piece = await pieces?.read(); piece?.done === false; piece = await pieces?.read()) {
        clearTimeout(timer);
        timer = wake();
        opened();
        for (const { event, data } of eventsOf(piece.value))
          if (event === "screen" && !signal.aborted) this.#take(data);
      }
      return this.#lost("The stream ended.");
    } catch (error) {
      if (error instanceof AskError && error.code === "unauthenticated")
        return { kind: "signed_out", why: error.message };
      return this.#lost(error instanceof AskError ? error.message : "The connection was cut.");
    } finally {
      clearTimeout(timer);
    }
  }

  #take(data: string): void {
    const message = JSON.parse(data) as ScreenMessage; // From our own server, whose tests hold it to this form.
    this.#parts = take(this.#parts, message, performance.now());
    const refused = Object.values(this.#parts).some((part) => part.kind === "error" && part.code === "unauthenticated");
    this.#tell(refused ? { kind: "signed_out", why: "The token is not accepted any more." } : { kind: "live" });
  }

  #lost(why: string): Link {
    return { kind: "lost", why, sinceMs: this.#link.kind === "lost" ? this.#link.sinceMs : Date.now() };
  }

  #tell(link: Link): void {
    this.#link = link;
    this.#show({ link, parts: this.#parts });
  }
}
