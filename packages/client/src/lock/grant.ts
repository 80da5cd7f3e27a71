// lock/grant.ts: one grant that this process holds, and how its loss becomes known.
// Not here: the handles given to users (held-lock.ts), the table of grants (grants.ts).
//   G1. Once lost, a grant stays lost, with the first reason.
//   G2. Whoever looks learns of a passed safe-until, or the end of a countdown, at once, also when the loop was blocked and no timer
//       could run.
import type { ForelockError } from "@forelock/protocol";
import type { Session } from "../session/session.ts";
import type { ReceivedWarning } from "../warning/received-warning.ts";
import type { Lock } from "./lock.ts";
import type { Terms } from "./terms.ts";

export interface GrantFields {
  readonly session: Session;
  readonly name: string;
  readonly token: bigint;
  readonly mode: Lock["mode"];
  readonly partition: number;
  readonly reference: string;
  /** When its frame came, monotonic: heartbeats sent later must list its partition. */
  readonly grantedAtMs: number;
  readonly terms: Terms | undefined;
}

export class Grant {
  readonly session: Session;
  readonly name: string;
  readonly partition: number;
  readonly reference: string;
  readonly grantedAtMs: number;
  readonly terms: Terms | undefined;
  token: bigint;
  mode: Lock["mode"];
  /** Handles that have not been released. */
  entries = 1;
  /** An upgrade or downgrade is on its way: its token may have changed at the server already. */
  changing = false;
  /** The last that came, also when it is over. */
  warning: ReceivedWarning | undefined;
  #lost: ForelockError | undefined;
  #controller: AbortController | undefined;

  constructor(fields: GrantFields) {
    this.session = fields.session;
    this.name = fields.name;
    this.token = fields.token;
    this.mode = fields.mode;
    this.partition = fields.partition;
    this.reference = fields.reference;
    this.grantedAtMs = fields.grantedAtMs;
    this.terms = fields.terms;
  }

  /** Why it is lost; undefined while it can be relied on. */
  get lost(): ForelockError | undefined {
    if (this.#lost === undefined) {
      this.session.checkLease(this.partition); // G2: loses everything when it has passed.
      this.warning?.check(); // G2
    }
    return this.#lost;
  }

  /** Made when first asked for: most locks are held and released without anyone listening. */
  get signal(): AbortSignal {
    const { lost } = this;
    this.#controller ??= new AbortController();
    if (lost !== undefined) this.#controller.abort(lost);
    return this.#controller.signal;
  }

  /** Whether someone was given the signal, and so is told of a loss. */
  get watched(): boolean {
    return this.#controller !== undefined;
  }

  /** Called by the table only. */
  lose(reason: ForelockError): void {
    if (this.#lost !== undefined) return; // G1
    this.#lost = reason;
    this.warning?.lost();
    this.#controller?.abort(reason);
  }
}
