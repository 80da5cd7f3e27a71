// feed.js: keeps the page up to date: the stream of events says that something changed, and the state is then read anew.
//   F1. At most one read is under way, and reads begin at least REFRESH_MS apart, however many events come.
//   F2. When the stream cannot be had, the state is polled; when that fails too, the page says so and goes on trying.
//   F3. A page that nobody sees asks for nothing.

const REFRESH_MS = 400;
/** Ages and the figures that no event tells, such as the uptime. */
const POLL_MS = 5_000;
/** The server writes something every 15 s: a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;
const RETRY_MS_MAX = 10_000;
const TOKEN_KEY = "forelock-token";

export class NeedsToken extends Error {}

export function useToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** Asks this server. @throws NeedsToken, or an Error with the server's own words */
export async function ask(path, { body, signal } = {}) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const response = await fetch(path, {
    signal,
    cache: "no-store",
    headers: {
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  });
  if (response.ok) return response;
  const { message = response.statusText } = await response.json().catch(() => ({}));
  throw response.status === 401 ? new NeedsToken(message) : new Error(message);
}

/**
 * @param {() => Promise<void>} refresh reads and shows the state
 * @param {(state: "live" | "polling" | "lost" | "signed out", why: string) => void} tell
 */
export class Feed {
  #refresh;
  #tell;
  #wanted = false;
  #reading = false;
  #lastReadMs = Number.NEGATIVE_INFINITY;
  #timer;
  #streams = false;

  constructor(refresh, tell) {
    this.#refresh = refresh;
    this.#tell = tell;
  }

  start() {
    setInterval(() => this.want(), POLL_MS);
    document.addEventListener("visibilitychange", () => this.want());
    this.want();
    void this.#listen();
  }

  /** The state may have changed. */
  want() {
    this.#wanted = true;
    if (this.#reading || this.#timer !== undefined || document.hidden) return; // F1, F3
    const waitMs = Math.max(0, this.#lastReadMs + REFRESH_MS - performance.now());
    this.#timer = setTimeout(() => void this.#read(), waitMs);
  }

  async #read() {
    this.#timer = undefined;
    this.#wanted = false;
    this.#reading = true;
    this.#lastReadMs = performance.now();
    try {
      await this.#refresh();
      this.#tell(this.#streams ? "live" : "polling", "");
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reading = false;
      if (this.#wanted) this.want();
    }
  }

  #fail(error) {
    if (error instanceof NeedsToken) this.#tell("signed out", error.message);
    else this.#tell("lost", error instanceof TypeError ? "" : error.message); // A TypeError is fetch's word for no answer.
  }

  /** F2: for ever, with growing pauses. */
  async #listen() {
    let pauseMs = 500;
    for (;;) {
      try {
        await this.#stream(() => {
          pauseMs = 500;
        });
      } catch {
        // Why is told by the read that follows: it fails for the same reason, or shows that polling works.
      }
      this.#streams = false;
      this.want();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2);
    }
  }

  async #stream(opened) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const response = await ask("/v1/events?pattern=*", { signal: silence.signal });
      opened();
      this.#streams = true;
      this.want();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        if (chunk.value.includes("data:")) this.want(); // Which event it was does not matter: the state is read whole.
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
