// scenarios.ts: the conversations of docs/transcripts, by file name: what is said and done, with the prose that explains it.
// Rewrite the pages with `UPDATE_TRANSCRIPTS=1 npx vitest run transcripts`, and only when the difference can be explained.
import { Mode } from "@forelock/protocol";
import { Transcript, tokenOf } from "./transcript.ts";

export const SCENARIOS: Readonly<Record<string, () => Promise<Transcript>>> = {
  "acquire-release": async () => {
    const say = await Transcript.open("Acquire, release, and what a stale token is worth");
    say.meet("ana", "bo");
    say.tell(
      `Lines with > are requests of a client, lines with < what it is sent; both are the messages of docs/protocol.md as JSON, fields
      at their defaults left out. A log line shows what became durable before the reply left, by partition (p0, p1, ...). Session
      ids are drawn, so they are written as <ana>.`,
    );
    say.tell(`Ana asks for a free element. Her session is registered in its partition by the same record that grants.`);
    const first = tokenOf(await say.acquire("ana", "orders/42"));
    say.tell(`She gives it back. The answer repeats nothing: that it came says that it is durable.`);
    await say.release("ana", "orders/42", first);
    say.tell(`Bo takes it. His token is larger: whoever guards a resource with it can tell him from ana.`);
    await say.acquire("bo", "orders/42");
    say.tell(`Ana, who was paused and believes that she still holds, is refused. Bo keeps what he has.`);
    await say.release("ana", "orders/42", first);
    return say;
  },
  "queue-and-grant": async () => {
    const say = await Transcript.open("Waiting, and the grant that is pushed");
    say.meet("ana", "bo", "cy");
    const held = tokenOf(await say.acquire("ana", "orders/42"));
    say.tell(`Bo is answered at once: a reference, his position, and who is in his way. He holds nothing yet.`);
    await say.acquire("bo", "orders/42");
    say.tell(`Cy does not want to wait. A try leaves no trace in the log.`);
    await say.acquire("cy", "orders/42", { waitMs: 0 });
    say.tell(`Cy waits for half a second only, and is told when that is over.`);
    await say.acquire("cy", "orders/42", { waitMs: 500 });
    await say.pass(600, ["ana", "bo", "cy"]);
    say.tell(
      `Ana releases, and in the same record the element is bo's: nobody can come between. He is told by a notice.`,
    );
    await say.release("ana", "orders/42", held);
    return say;
  },
  "readers-and-writers": async () => {
    const say = await Transcript.open("Readers and writers take turns");
    say.meet("ana", "bo", "cy", "di");
    const shared = { mode: Mode.SHARED };
    say.tell(`Ana writes. Bo wants to write next; cy came after him and wants to read.`);
    const first = tokenOf(await say.acquire("ana", "config"));
    await say.acquire("bo", "config");
    await say.acquire("cy", "config", shared);
    say.tell(`When a writer ends, the readers of that moment go first, all together: cy before bo.`);
    await say.release("ana", "config", first);
    say.tell(
      `Di wants to read too, but bo waits to write: her turn comes after his, or ever new readers would keep him waiting.`,
    );
    await say.acquire("di", "config", shared);
    return say;
  },
  "retry-after-lost-answer": async () => {
    const say = await Transcript.open("The answer was lost: ask again");
    say.meet("ana");
    say.tell(`Ana's connection breaks before the answer comes: she cannot know whether she holds.`);
    await say.acquire("ana", "orders/42");
    say.tell(
      `So she sends the same request with the same sequence again. It finds the same operation: the same token, and nothing new in the
      log. Nothing has to be guessed or timed out.`,
    );
    const token = tokenOf(await say.acquire("ana", "orders/42", {}, { sequence: 1 }));
    say.tell(`The same holds for an append: repeated, it answers what the first one did and writes nothing.`);
    await say.append("ana", "orders/42", token, "paid");
    const append = {
      $case: "append",
      value: { file: "orders/42", element: "", token, bytes: Buffer.from("paid") },
    } as const;
    await say.ask("ana", append, { sequence: 2 });
    say.tell(`The same sequence with other arguments is a mistake, and told.`);
    await say.acquire("ana", "orders/42", { mode: Mode.SHARED }, { sequence: 1 });
    say.tell(`And it all survives the server.`);
    await say.restart();
    await say.acquire("ana", "orders/42", {}, { sequence: 1 });
    return say;
  },
  "expiry-and-undo": async () => {
    const say = await Transcript.open("A holder dies, and what it did is undone");
    say.meet("ana", "bo");
    say.tell(
      `Ana appends for good, then again under a grant that asks for its effects to be undone if it is lost (onLoss 1).`,
    );
    const first = tokenOf(await say.acquire("ana", "audit"));
    await say.append("ana", "audit", first, "kept;");
    await say.release("ana", "audit", first);
    const second = tokenOf(await say.acquire("ana", "audit", { onLoss: 1 }));
    await say.append("ana", "audit", second, "half of");
    await say.acquire("bo", "audit");
    say.tell(
      `Ana is not heard from any more. Her silence is noted in the log, so that a restart does not give her a second life; when her ttl
      is over, one record ends her session, undoes the append and grants bo.`,
    );
    await say.pass(31_000, ["bo"]);
    say.tell(`Bo reads what was there before.`);
    await say.ask("bo", { $case: "readFile", value: { file: "audit", offset: 0, bytesMax: 0, version: 0 } });
    say.tell(`Ana wakes up: her token is worth nothing, and her session is gone from this partition.`);
    await say.append("ana", "audit", second, "the rest");
    return say;
  },
  tree: async () => {
    const say = await Transcript.open("Trees: an element stands for all below it");
    say.meet("ana", "bo", "cy");
    say.tell(
      `Names that share a tag, the part in braces, lie in one partition, and there a slash means "below". Ana holds one shop's
      stock.`,
    );
    const stock = tokenOf(await say.acquire("ana", "{shop}/stock"));
    say.tell(`Bo takes another element of the same shop: the two do not meet.`);
    await say.acquire("bo", "{shop}/prices");
    say.tell(`Cy wants the whole shop. He waits for all that is held below it, and holds nothing meanwhile.`);
    await say.acquire("cy", "{shop}");
    say.tell(`While he waits nobody starts anything below, or he would never come to his turn.`);
    await say.acquire("ana", "{shop}/orders", { waitMs: 0 });
    await say.release("ana", "{shop}/stock", stock);
    const held = await say.ask("bo", { $case: "why", value: { name: "{shop}/prices" } });
    const token = held.body?.$case === "why" ? held.body.value.holders[0]?.token : undefined;
    say.tell(`With the last grant below, the shop is his.`);
    await say.release("bo", "{shop}/prices", token ?? 0n);
    return say;
  },
  batch: async () => {
    const say = await Transcript.open("Several elements at once, in several partitions");
    say.meet("ana", "bo");
    const held = tokenOf(await say.acquire("ana", "account/2"));
    say.tell(
      `Bo wants to move money between two accounts, which lie in different partitions. The batch has its home in the partition of its
      first name; it reserves one element after the other, in one order for everyone. A reserved element blocks others, but has no
      token: nothing can be done under it.`,
    );
    const elements = ["account/1", "account/2"].map((name) => ({ name, mode: Mode.EXCLUSIVE, permits: 0, take: 0 }));
    await say.ask("bo", { $case: "acquireAll", value: { elements, waitMs: undefined, onLoss: 0, actor: "" } });
    say.tell(`The first account is reserved: a try finds it busy, though nobody has a token for it.`);
    await say.acquire("ana", "account/1", { waitMs: 0 });
    say.tell(
      `Ana releases the second. The home partition notes that all are reserved (batch_confirming), each part gets its token
      (part_confirmed), and only when all of that is durable is bo told.`,
    );
    await say.release("ana", "account/2", held);
    return say;
  },
  deadlock: async () => {
    const say = await Transcript.open("Two who wait for each other");
    say.meet("ana", "bo");
    await say.acquire("ana", "left");
    await say.acquire("bo", "right");
    say.tell(`Each now asks for what the other has, in two partitions.`);
    await say.acquire("ana", "right");
    await say.pass(50, ["ana", "bo"]);
    await say.acquire("bo", "left");
    say.tell(
      `The search looks every 100 ms, and believes a circle that it sees twice. Of those who wait in it the cheapest to refuse goes:
      who holds least, then matters least, then has waited least. What it holds it keeps.`,
    );
    await say.pass(300, ["ana", "bo"]);
    return say;
  },
};
