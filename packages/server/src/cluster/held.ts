// held.ts: requests that wait for an owner of their partition, in their order. Not here: where they are sent (session-routes.ts).
//   H1. At most HELD_REQUESTS_MAX requests and BYTES_MAX bytes of appends wait at once.
import { ForelockError } from "@forelock/protocol";
import type { RoutedRequest } from "./routed-request.ts";

export const HELD_REQUESTS_MAX = 10_000;
const BYTES_MAX = 64 * 1024 * 1024;

export class Held {
  readonly #queues = new Map<number, RoutedRequest[]>();
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  has(partition: number): boolean {
    return this.#queues.has(partition);
  }

  partitions(): readonly number[] {
    return [...this.#queues.keys()];
  }

  /** @throws ForelockError `unavailable` at the limit */
  add(request: RoutedRequest): void {
    if (this.#size >= HELD_REQUESTS_MAX || this.#bytes + bytesOf(request) > BYTES_MAX) {
      const message = `${this.#size} requests with ${this.#bytes} bytes wait for owners of their partitions.`;
      throw new ForelockError("unavailable", message, { retryAfterMs: 500 }); // H1
    }
    const queue = this.#queues.get(request.partition);
    if (queue === undefined) this.#queues.set(request.partition, [request]);
    else insert(queue, request);
    this.#count(request, 1);
  }

  /** Hands on one after the other until `send` says no; those stay. */
  drain(partition: number, send: (request: RoutedRequest) => boolean): void {
    const queue = this.#queues.get(partition) ?? [];
    let sent = 0;
    for (const request of queue) {
      if (!send(request)) break;
      this.#count(request, -1);
      sent += 1;
    }
    queue.splice(0, sent);
    if (queue.length === 0) this.#queues.delete(partition);
  }

  /** Takes out those that have waited too long. */
  takeOverdue(nowMs: number): readonly RoutedRequest[] {
    const overdue: RoutedRequest[] = [];
    for (const [partition, queue] of this.#queues) {
      if (!queue.some((request) => request.untilMs <= nowMs)) continue;
      const staying: RoutedRequest[] = [];
      for (const request of queue) {
        if (request.untilMs > nowMs) staying.push(request);
        else {
          overdue.push(request);
          this.#count(request, -1);
        }
      }
      if (staying.length > 0) this.#queues.set(partition, staying);
      else this.#queues.delete(partition);
    }
    return overdue;
  }

  #count(request: RoutedRequest, sign: 1 | -1): void {
    this.#size += sign;
    this.#bytes += sign * bytesOf(request);
  }
}

/** One that comes back is older than those that came meanwhile. */
function insert(queue: RoutedRequest[], request: RoutedRequest): void {
  let at = queue.length;
  while (at > 0 && (queue[at - 1]?.order ?? 0) > request.order) at -= 1;
  queue.splice(at, 0, request);
}

function bytesOf({ operation: { body } }: RoutedRequest): number {
  return body?.$case === "append" ? body.value.bytes.length : 0;
}
