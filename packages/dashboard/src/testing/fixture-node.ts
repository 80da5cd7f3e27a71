// fixture-node.ts: answers like a node, with what each test or screenshot puts into it: for states that a real one reaches slowly.
// Serves the built dashboard under the policy of the real one.
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ScreenMessage } from "../feed/screen.ts";

const FOLDER = new URL("../../../server/dist/dashboard/", import.meta.url);
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  css: "text/css",
  js: "text/javascript",
  svg: "image/svg+xml",
};

export interface Asked {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export class FixtureNode implements AsyncDisposable {
  /** Parts of every screen. */
  parts: ScreenMessage["parts"] = {};
  /** By path, as `/v1/warn`: the reply, or a status and an error. */
  readonly replies = new Map<string, object | { readonly status: number; readonly error: object }>();
  /** Demanded of every call while it is set. */
  token = "";
  /** Calls that were made, but for the stream. */
  readonly asked: Asked[] = [];
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response));
  readonly #streams = new Set<ServerResponse>();

  static async start(): Promise<FixtureNode> {
    const node = new FixtureNode();
    await new Promise<void>((resolve) => node.#server.listen(0, "127.0.0.1", resolve));
    return node;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`; // Cast: it listens on a port.
  }

  /** Tells all open screens the parts as they are now. */
  push(): void {
    for (const stream of this.#streams) this.#send(stream, false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://node");
    if (!pathname.startsWith("/v1/")) return this.#page(pathname, response);
    if (this.token !== "" && request.headers.authorization !== `Bearer ${this.token}`)
      return json(response, 401, { code: "unauthenticated", message: "The token is not known." });
    if (pathname === "/v1/live") return this.#stream(response);
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    this.asked.push({ path: pathname, body: JSON.parse(Buffer.concat(chunks).toString()) });
    const reply = this.replies.get(pathname);
    if (reply === undefined) return json(response, 501, { code: "not_supported", message: `No ${pathname} here.` });
    if ("status" in reply && "error" in reply) return json(response, Number(reply.status), reply.error);
    return json(response, 200, reply);
  }

  #page(pathname: string, response: ServerResponse): void {
    const name = pathname === "/" ? "index.html" : pathname.slice(1);
    const isThere =
      name === "index.html" || readdirSync(new URL("assets/", FOLDER)).includes(name.replace("assets/", ""));
    if (!isThere) return void response.writeHead(404).end();
    const type = TYPES[name.split(".").at(-1) ?? ""] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, "Content-Security-Policy": POLICY });
    response.end(readFileSync(new URL(name, FOLDER)));
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Content-Security-Policy": POLICY });
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
    this.#send(response, true);
  }

  #send(stream: ServerResponse, whole: boolean): void {
    stream.write(`event: screen\nid: 1\ndata: ${JSON.stringify({ whole, parts: this.parts })}\n\n`);
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}
