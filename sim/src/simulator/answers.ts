// answers.ts: what was answered, by request, whoever asked: the same request must get the same answer again. Refusals that changed
// nothing are not remembered by the service, and so are not here.
import { type AcquireReply, OperationState, type Reply } from "@forelock/protocol";
import { expectRule } from "./violation.ts";

export class Answers {
  readonly #finalByRequest = new Map<string, string>();
  /** Acknowledgements of what had ended. */
  readonly #over = new Set<string>();
  readonly #keyByReference = new Map<string, string>();
  compared = 0;

  /** @param key of the request: session and sequence, or principal and request id */
  reply(key: string, body: Reply["body"]): void {
    if (body === undefined) return;
    switch (body.$case) {
      case "acquire":
        return this.acquire(key, body.value);
      case "release":
        return this.#final(key, `released ${body.value.stillHeld} ${body.value.undone}`);
      case "append": {
        const { length, version, index, offset } = body.value;
        return this.#final(key, `appended ${length} ${version} ${index} ${offset}`);
      }
      case "downgrade":
        return this.#final(key, `downgraded ${body.value.token}`);
      case "cancel":
        if (body.value.cancelled) this.#final(key, "cancelled");
        return;
      case "acknowledge":
        return this.#acknowledged(key, body.value.state);
      default:
        return;
    }
  }

  acquire(key: string, reply: AcquireReply): void {
    if (reply.reference !== "") this.#keyByReference.set(reply.reference, key);
    if (reply.state === OperationState.GRANTED) {
      const grants = reply.grants.map(({ name, token }) => `${name}:${token}`).sort();
      this.#final(key, `granted ${grants.join()}`);
    } else if (reply.state === OperationState.ENDED) this.#final(key, `ended ${reply.error?.code}`);
    else if (reply.state === OperationState.QUEUED) {
      const known = this.#finalByRequest.get(key);
      expectRule(known === undefined, "answer-changed", () => `request ${key} was ${known}, and is queued now`);
    }
  }

  /** An answer to somebody who asked by reference. */
  byReference(reply: AcquireReply): void {
    const key = this.#keyByReference.get(reply.reference);
    if (key !== undefined && reply.state !== OperationState.DONE) this.acquire(key, reply);
  }

  /** One answer, until the grant has ended: then, and from then on, it is over. */
  #acknowledged(key: string, state: string): void {
    if (state === "over") this.#over.add(key);
    else {
      expectRule(!this.#over.has(key), "answer-changed", () => `${key}: what it acknowledges was over, and is not`);
      this.#final(key, `acknowledgement ${state}`);
    }
  }

  #final(key: string, text: string): void {
    const known = this.#finalByRequest.get(key);
    if (known === undefined) {
      this.#finalByRequest.set(key, text);
      return;
    }
    this.compared += 1;
    expectRule(known === text, "answer-changed", () => `request ${key} was ${known}, and is ${text} now`);
  }
}
