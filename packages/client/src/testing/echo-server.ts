// testing/echo-server.ts: grants everything at once and keeps nothing: the cheapest server, to measure what a client costs.
import { createServer } from "node:net";
import {
  AcquireReply,
  ClientFrame,
  Limits,
  type Operation,
  OperationState,
  Reply,
  ServerFrame,
} from "@forelock/protocol";
import { FrameSplitter } from "../wire/frame.ts";

/** @returns the port it listens on */
export function startEchoServer(): Promise<number> {
  let token = 1n;
  const answer = ({ sequence, body }: Operation): Reply => {
    if (body?.$case !== "acquire") return Reply.create({ sequence, body: { $case: "release", value: {} } });
    const { name } = body.value;
    const grants = [{ name, token: token++, partition: 1 }];
    const value = AcquireReply.create({
      sequence,
      reference: `AAAAAAAA.${sequence}`,
      state: OperationState.GRANTED,
      grants,
    });
    return Reply.create({ sequence, body: { $case: "acquire", value } });
  };
  const welcome = {
    sessionId: Buffer.alloc(16, 1),
    sessionSecret: Buffer.alloc(32, 2),
    ttlMs: 30_000,
    durable: true,
    limits: Limits.create({
      frameBytes: 1_048_576,
      frameOperations: 1_000,
      requestsInFlight: 4_096,
      unanswered: 50_000,
    }),
  };
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    const splitter = new FrameSplitter();
    const send = (frame: ServerFrame) => {
      const bytes = ServerFrame.encode(frame).finish();
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.byteLength);
      socket.write(Buffer.concat([length, bytes]));
    };
    socket.on("error", () => {}); // The client ended.
    socket.on("data", (chunk) =>
      splitter.push(chunk, (bytes) => {
        const { hello, heartbeat, operations } = ClientFrame.decode(bytes);
        if (hello !== undefined)
          send(ServerFrame.create({ welcome: { ...welcome, ttlMs: hello.ttlMs || welcome.ttlMs } }));
        if (heartbeat !== undefined)
          send(ServerFrame.create({ heartbeat: { number: heartbeat.number, partitions: [1] } }));
        if (operations.length > 0) send(ServerFrame.create({ replies: operations.map(answer) }));
      }),
    );
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}
