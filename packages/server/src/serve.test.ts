import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClientFrame, Hello, Purpose, ServerFrame } from "@forelock/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { serve } from "./serve.ts";
import { readSettings } from "./settings/read.ts";

let folder: string;
let stop: () => Promise<void>;
let port: number;
const lines: string[] = [];

async function start(flags: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const abort = new AbortController();
  const settings = readSettings({ flags: { port: "0", data: folder, ...flags }, env: {}, fileText: undefined });
  const served = await serve(settings, { log: (line) => lines.push(line), signal: abort.signal });
  port = Number(served.address.split(":").at(-1));
  stop = async () => {
    abort.abort();
    await served.closed;
  };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "forelock-serve-"));
  lines.length = 0;
  await start();
});

afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

/** A connection that speaks frames: sends one, waits for the next. */
class Line {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  readonly #frames: ServerFrame[] = [];
  #wake = (): void => {};

  constructor() {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("data", (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      while (this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readUInt32BE(0)) {
        const end = 4 + this.#bytes.readUInt32BE(0);
        this.#frames.push(ServerFrame.decode(this.#bytes.subarray(4, end)));
        this.#bytes = this.#bytes.subarray(end);
      }
      this.#wake();
    });
  }

  async ask(frame: Parameters<typeof ClientFrame.create>[0]): Promise<ServerFrame> {
    const body = ClientFrame.encode(ClientFrame.create(frame)).finish();
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    this.#socket.write(Buffer.concat([length, body]));
    for (;;) {
      const next = this.#frames.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  end(): void {
    this.#socket.destroy();
  }
}

const acquire = (sequence: number, name: string) => ({
  operations: [
    {
      sequence,
      body: {
        $case: "acquire" as const,
        value: {
          name,
          mode: 0,
          permits: 0,
          take: 0,
          priority: 0,
          onLoss: 0,
          actor: "",
          reenter: 0n,
          preemptible: 0,
          compensation: undefined,
        },
      },
    },
  ],
});

test("a heartbeat that comes after its session has ended costs its connection, not the server", async () => {
  const line = new Line();
  const { welcome } = await line.ask({ hello: Hello.create({ version: 1 }) });
  const heart = new Line();
  const id = {
    version: 1,
    sessionId: welcome?.sessionId ?? Buffer.alloc(0),
    sessionSecret: welcome?.sessionSecret ?? Buffer.alloc(0),
  };
  await heart.ask({ hello: Hello.create({ ...id, purpose: Purpose.HEARTBEAT }) });
  await line.ask(acquire(1, "a") as never);
  await line.ask({ operations: [{ sequence: 2, body: { $case: "closeSession", value: {} } }] } as never);
  const answer = await heart.ask({ heartbeat: { number: 1, lagMs: 0, health: 0 } });
  expect(answer.closing?.code).toBe("session_expired");
  const other = new Line();
  expect((await other.ask({ hello: Hello.create({ version: 1 }) })).welcome).toBeDefined();
  for (const each of [line, heart, other]) each.end();
});

test("a restart keeps what was granted, and takes a higher epoch", async () => {
  const line = new Line();
  await line.ask({ hello: Hello.create({ version: 1 }) });
  const first = await line.ask(acquire(1, "a") as never);
  const grant = first.replies[0]?.body?.$case === "acquire" ? first.replies[0].body.value.grants[0]?.token : undefined;
  expect(grant).toBeGreaterThan(1n << 40n);
  line.end();
  await stop();
  await start();
  const again = new Line();
  await again.ask({ hello: Hello.create({ version: 1 }) });
  const held = await again.ask(acquire(1, "a") as never);
  expect(held.replies[0]?.body?.$case === "acquire" ? held.replies[0].body.value.position : 0).toBe(1);
  const other = await again.ask(acquire(2, "b") as never);
  const token = other.replies[0]?.body?.$case === "acquire" ? other.replies[0].body.value.grants[0]?.token : undefined;
  expect(token).toBeGreaterThan(2n << 40n);
  again.end();
  expect(lines.some((text) => text.includes('"replayed"'))).toBe(true);
});

/** One operation as POST /v1/<method>. */
async function post(method: string, body: unknown): Promise<{ readonly status: number; readonly body: unknown }> {
  const init = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await fetch(`http://127.0.0.1:${port}/v1/${method}`, init);
  return { status: response.status, body: await response.json() };
}

test("a server that runs alone is its one node, which owns every partition, and changes nothing of it", async () => {
  const told = await post("get-cluster", {});
  expect(told).toMatchObject({
    status: 200,
    body: {
      node: "local",
      nodes: [{ id: "local", address: `127.0.0.1:${port}`, live: true, owned: 64, answered: true }],
    },
  });
  const partitions = (told.body as { partitions: readonly { owner: string; sequence: number; role: string }[] })
    .partitions;
  expect(partitions).toHaveLength(64);
  expect(partitions.every(({ owner, sequence, role }) => owner === "local" && sequence > 0 && role === "leading")).toBe(
    true,
  );
  const refused = await post("change-cluster", { action: "drain", node: "local", reason: "a test" });
  expect(refused).toMatchObject({ status: 501, body: { code: "not_supported" } });
});
