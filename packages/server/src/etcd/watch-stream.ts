// watch-stream.ts: one watch on one stream of one member, as batches. Not here: which member (grpc.ts).
//   Members split what is larger than a request may be into fragments; a batch ends between two revisions all the same (T3).
import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { EtcdError, type WatchBatch, type WatchEvent, type WatchRequest } from "./etcd.ts";
import type * as wire from "./generated/etcd.ts";
import { failureOf } from "./grpc-error.ts";
import { bytesOf, endOf, eventFromWire, revisionOf } from "./wire.ts";

type WatchStream = ClientDuplexStream<wire.WatchRequest, wire.WatchResponse>;

const WATCH_ID = 1n;

/** Takes the stream over, and ends it however the iteration ends. */
export async function* watchOn(
  stream: WatchStream,
  request: WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch, void> {
  const cancel = (): void => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  const held: WatchEvent[] = [];
  try {
    stream.write(createRequest(request));
    for await (const answer of stream) {
      // The stream's answers have no type of their own as a Readable.
      const batch = batchOf(answer as wire.WatchResponse, held);
      if (batch !== undefined) yield batch;
    }
    if (!signal.aborted) throw new EtcdError("unavailable", "the member ended the watch");
  } catch (cause) {
    if (signal.aborted) return;
    throw cause instanceof EtcdError ? cause : failureOf(cause as ServiceError, true).error; // All else is grpc-js's.
  } finally {
    signal.removeEventListener("abort", cancel);
    stream.on("error", () => {}); // Cancelling reports itself as an error, to nobody.
    stream.cancel();
  }
}

/** @param held events of a revision that may go on in the next fragment */
function batchOf(answer: wire.WatchResponse, held: WatchEvent[]): WatchBatch | undefined {
  if (answer.canceled) throw endOfWatch(answer);
  if (answer.created) return undefined;
  const events = answer.events.map(eventFromWire);
  held.push(...events);
  if (!answer.fragment) {
    const revision = Math.max(revisionOfLast(held), events.length === 0 ? revisionOf(answer.header) : 0);
    return { revision, events: held.splice(0) };
  }
  const last = revisionOfLast(held);
  const whole = held.findIndex((event) => revisionOfEvent(event) === last);
  if (whole <= 0) return undefined;
  const done = held.splice(0, whole);
  return { revision: revisionOfLast(done), events: done };
}

function endOfWatch({ compactRevision, cancelReason }: wire.WatchResponse): EtcdError {
  if (compactRevision > 0n)
    return new EtcdError("compacted", "the revision to watch from has been compacted", {
      compactRevision: Number(compactRevision),
    });
  const kind = /permission|auth/.test(cancelReason) ? "refused" : "unavailable";
  return new EtcdError(kind, `the member cancelled the watch: ${cancelReason || "no reason given"}`);
}

function createRequest({ key, end, from }: WatchRequest): wire.WatchRequest {
  const value = {
    key: bytesOf(key),
    rangeEnd: endOf(end),
    startRevision: BigInt(from),
    // Members before 3.4.25 and 3.5.8 can tell a progress beyond events that are still to come.
    progressNotify: false,
    watchId: WATCH_ID,
    fragment: true,
  };
  return { requestUnion: { $case: "createRequest", value } };
}

function revisionOfEvent(event: WatchEvent): number {
  return event.kind === "put" ? event.entry.modRevision : event.modRevision;
}

function revisionOfLast(events: readonly WatchEvent[]): number {
  const last = events.at(-1);
  return last === undefined ? 0 : revisionOfEvent(last);
}
