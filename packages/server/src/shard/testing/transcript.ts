// transcript.ts: writes down a conversation with a real node, as text that teaches: prose, requests, replies, notices, and what the
// log kept. Nothing in it is made up: every line but the prose comes from the node. Not here: which conversations (scenarios.ts).
import { AcquireRequest, Notice, Operation, Reply } from "@forelock/protocol";
import { decodeEvents } from "../../partition/codec.ts";
import { type Client, settle, World } from "./world.ts";

const COLUMNS = 100;
const HEARTBEAT_MS = 2_000;

type Body = NonNullable<Operation["body"]>;

export class Transcript {
  readonly world: World;
  readonly #clients = new Map<string, Client>();
  readonly #noticesTold = new Map<string, number>();
  readonly #lines: string[] = [];
  /** By partition, the last record that was told. */
  readonly #recordsTold = new Map<number, number>();

  private constructor(world: World) {
    this.world = world;
  }

  static async open(title: string): Promise<Transcript> {
    const transcript = new Transcript(await World.open());
    transcript.#lines.push(title, "=".repeat(title.length), "");
    await transcript.#keepLog(false);
    return transcript;
  }

  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  /** A paragraph of prose. */
  tell(prose: string): void {
    const words = prose.split(/\s+/).filter((word) => word !== "");
    let line = "";
    if (this.#lines.at(-1) !== "") this.#lines.push("");
    for (const word of words) {
      if (line !== "" && line.length + 1 + word.length > COLUMNS) {
        this.#lines.push(line);
        line = "";
      }
      line += line === "" ? word : ` ${word}`;
    }
    this.#lines.push(line, "");
  }

  /** Opens a session for each name. */
  meet(...names: readonly string[]): void {
    for (const name of names) this.#clients.set(name, this.world.client());
  }

  /** Sends a request under the next sequence, or again under an old one, and writes down all that it leads to. */
  async ask(name: string, body: Body, more: Partial<Operation> = {}): Promise<Reply> {
    const client = this.#client(name);
    const sequence = more.sequence ?? client.sequence + 1;
    const sent = Operation.fromPartial({ ...more, sequence } as never); // A part of an Operation is one of these.
    sent.body = body;
    this.#line(`${name} >`, Operation.toJSON(sent));
    const reply = await client.submit(body, more);
    await settle();
    await this.#keepLog(true);
    this.#line(`${name} <`, Reply.toJSON(reply));
    this.#keepNotices();
    return reply;
  }

  acquire(
    name: string,
    element: string,
    more: Partial<AcquireRequest> = {},
    operation: Partial<Operation> = {},
  ): Promise<Reply> {
    const value = AcquireRequest.fromPartial({ name: element, ...more } as never); // As above.
    return this.ask(name, { $case: "acquire", value }, operation);
  }

  release(name: string, element: string, token: bigint, undo = false): Promise<Reply> {
    return this.ask(name, { $case: "release", value: { name: element, token, undo } });
  }

  append(name: string, file: string, token: bigint, text: string): Promise<Reply> {
    return this.ask(name, { $case: "append", value: { file, element: "", token, bytes: Buffer.from(text) } });
  }

  /** Lets time pass while only `alive` send heartbeats. */
  async pass(ms: number, alive: readonly string[]): Promise<void> {
    this.#lines.push(`-- ${ms} ms pass; heartbeats come from ${alive.join(" and ")} --`);
    for (let passed = 0; passed < ms; passed += HEARTBEAT_MS) {
      for (const name of alive)
        this.world.node.heartbeat(this.#client(name).opened.session, passed, { lagMs: 0, health: 0 }, () => {});
      await this.world.clock.advance(Math.min(HEARTBEAT_MS, ms - passed));
    }
    await settle();
    await this.#keepLog(true);
    this.#keepNotices();
  }

  /** The process dies and starts again; every client resumes its session. */
  async restart(): Promise<void> {
    this.#lines.push("-- the server dies and starts again; every client resumes its session --");
    await this.world.restart();
    for (const client of this.#clients.values()) client.resume();
    await settle();
    await this.#keepLog(true);
    this.#keepNotices();
  }

  #client(name: string): Client {
    const client = this.#clients.get(name);
    if (client === undefined) throw new Error(`nobody is called ${name}`);
    return client;
  }

  #keepNotices(): void {
    for (const [name, client] of this.#clients) {
      for (const notice of client.notices.slice(this.#noticesTold.get(name) ?? 0)) {
        this.#line(`${name} <`, { notice: Notice.toJSON(notice) });
      }
      this.#noticesTold.set(name, client.notices.length);
    }
  }

  async #keepLog(isTold: boolean): Promise<void> {
    const { log } = this.world.node.options;
    let last = { kinds: "", partitions: [] as string[] };
    const keep = (): void => {
      if (isTold && last.kinds !== "") this.#lines.push(`  log ${last.partitions.join(", ")}: ${last.kinds}`);
    };
    for await (const batch of log.read((partition) => this.#recordsTold.get(partition) ?? 0)) {
      for (const record of batch) {
        this.#recordsTold.set(record.partition, record.sequence);
        const kinds: string[] = [];
        decodeEvents(record.events, (event) => kinds.push(event.kind));
        if (kinds.length === 0) continue; // Kept for the clock alone.
        if (kinds.join(", ") !== last.kinds) {
          keep();
          last = { kinds: kinds.join(", "), partitions: [] };
        }
        last.partitions.push(`p${record.partition}`);
      }
    }
    keep();
  }

  /** Sessions by name: their ids are drawn. */
  #line(who: string, message: unknown): void {
    let text = JSON.stringify(message);
    for (const [name, { opened }] of this.#clients) text = text.replaceAll(opened.session.id, `<${name}>`);
    this.#lines.push(`${who} ${text}`);
  }
}

/** The token of the only grant of a reply. */
export function tokenOf({ body }: Reply, index = 0): bigint {
  const grant = body?.$case === "acquire" ? body.value.grants[index] : undefined;
  if (grant === undefined) throw new Error("the reply has no grant");
  return grant.token;
}
