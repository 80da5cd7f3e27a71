// sessions.ts: which session a request goes to: the current one, and another once that one is over.
// Not here: what a session does (session/session.ts).
//   C1. A session that is gone or retired gets no new requests; the next request opens another one.
//   C2. A session given to `connect` is never replaced: its end is told to every later request.
//   C3. A request is carried from one session to the next only while it left nothing behind, and means nothing of that session alone;
//       and at most CARRIED_MAX times.
import { type Event, ForelockError, Purpose } from "@forelock/protocol";
import type { Environment, Timer } from "./environment.ts";
import type { SavedSession } from "./options.ts";
import { Link } from "./session/link.ts";
import { isOfSession, type Request } from "./session/request.ts";
import { Session } from "./session/session.ts";
import type { Settings } from "./settings.ts";

export interface SessionsEvents {
  /** A connection of the current session stands again, or that of another session: watches must be asked for anew. */
  reconnected(): void;
  event(event: Event): void;
}

const CARRIED_MAX = 3;
const SWEEP_MS = 1_000;

export class Sessions {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #events: SessionsEvents;
  readonly #carried = new WeakMap<Request, number>();
  /** Those not gone: the current one and retired ones. */
  readonly #live = new Set<Session>();
  #current: Session | undefined;
  #reader: Link | undefined;
  #readerTimer: Timer | undefined;
  #readerStood = false;
  #closed: ForelockError | undefined;
  #connected: { resolve(): void; reject(error: ForelockError): void } | undefined;

  constructor(environment: Environment, settings: Settings, events: SessionsEvents) {
    this.#environment = environment;
    this.#settings = settings;
    this.#events = events;
  }

  /** Resolves when the first connection stands. */
  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connected = { resolve, reject };
      if (this.#settings.session === "none") this.#openReader();
      else this.#open(this.#settings.session);
    });
  }

  get current(): Session | undefined {
    return this.#current;
  }

  /** For whatever needs a session. */
  submit(request: Request): void {
    if (this.#settings.session === "none") {
      request.fail(new ForelockError("bad_argument", 'session: "none" allows reads and operator commands only.'));
      return;
    }
    this.#submit(request);
  }

  /** For reads and operator commands. */
  read(request: Request): void {
    if (this.#settings.session === "none") this.readAside(request);
    else this.#submit(request);
  }

  /** For reads that take long: on a connection of their own, where they hold up nothing. */
  readAside(request: Request): void {
    if (this.#closed !== undefined) request.fail(this.#closed);
    else (this.#reader ?? this.#openReader()).submit(request);
  }

  async close(): Promise<void> {
    this.#closed ??= new ForelockError("session_closed", "The client was closed.");
    await Promise.all([...this.#live].map((session) => session.close()));
    this.#reader?.end(this.#closed);
  }

  detach(): SavedSession | undefined {
    this.#closed ??= new ForelockError("session_closed", "The client was detached.");
    const saved = this.#current?.saved;
    for (const session of this.#live) session.detach();
    this.#reader?.end(this.#closed);
    return saved;
  }

  #submit(request: Request): void {
    const current = this.#current;
    if (this.#closed !== undefined) request.fail(this.#closed);
    else if (current !== undefined && (current.isGiven || (current.gone === undefined && !current.retired))) {
      current.submit(request); // One that is gone refuses with its reason: C2.
    } else this.#open(undefined).submit(request); // C1
  }

  #open(saved: SavedSession | undefined): Session {
    const session: Session = new Session(this.#environment, this.#settings, saved, {
      connected: (again) => this.#welcomed(again),
      refused: (request, error) => this.#carry(request, error),
      gone: (error, unsent) => {
        this.#live.delete(session);
        this.#connected?.reject(error);
        for (const request of unsent) this.#carry(request, error);
      },
      event: (event) => {
        if (session === this.#current) this.#events.event(event); // Numbers of watches mean nothing in another session.
      },
    });
    this.#live.add(session);
    const replaces = this.#current !== undefined;
    this.#current = session;
    if (replaces) this.#events.reconnected();
    return session;
  }

  #welcomed(again: boolean): void {
    this.#connected?.resolve();
    this.#connected = undefined;
    if (again) this.#events.reconnected();
  }

  #carry(request: Request, error: ForelockError): void {
    const carried = (this.#carried.get(request) ?? 0) + 1;
    const movable = request.repeatable || (request.sequence === 0 && !isOfSession(request.body));
    if (!movable || carried > CARRIED_MAX || this.#current?.isGiven || this.#closed !== undefined) {
      request.fail(error); // C2, C3
      return;
    }
    this.#carried.set(request, carried);
    request.sequence = 0;
    this.#submit(request);
  }

  #openReader(): Link {
    const link: Link = new Link(this.#environment, this.#settings, Purpose.SESSIONLESS, undefined, {
      welcomed: () => {
        this.#welcomed(this.#readerStood && this.#settings.session === "none");
        this.#readerStood = true;
      },
      notice: ({ body }) => {
        if (body?.$case === "event") this.#events.event(body.value);
      },
      refusedSession: (request, error) => request.fail(error),
      gone: (error) => {
        this.#reader = undefined;
        this.#readerStood = false;
        this.#readerTimer?.dispose();
        this.#connected?.reject(error);
      },
    });
    this.#reader = link;
    const sweep = () => {
      link.sweep();
      this.#readerTimer = this.#environment.clock.after(SWEEP_MS, sweep);
    };
    this.#readerTimer = this.#environment.clock.after(SWEEP_MS, sweep);
    return link;
  }
}
