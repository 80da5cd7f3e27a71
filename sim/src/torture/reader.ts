// reader.ts: one question to the server on a connection without a session: status, why, whole files. For set-up and the end.
import { Purpose, type Reply } from "@forelock/protocol";
import type { Clock } from "../proxy/clock.ts";
import type { Body } from "./raw-session.ts";
import { type Endpoint, WireConnection } from "./wire.ts";

const ANSWER_MS_MAX = 3_000;

/** @returns undefined when there is no answer in time; an error is an answer */
export async function readWire(endpoint: Endpoint, body: Body, clock: Clock): Promise<Reply["body"]> {
  let settle: (body: Reply["body"]) => void = () => {};
  const answer = new Promise<Reply["body"]>((resolve) => {
    settle = resolve;
  });
  const cancel = clock.after(ANSWER_MS_MAX, () => settle(undefined));
  try {
    const connection = await WireConnection.open(endpoint, {
      onFrame: (frame) => {
        for (const reply of frame.replies) settle(reply.body);
      },
      onClose: () => settle(undefined),
    });
    const noSession = { sessionId: Buffer.alloc(0), sessionSecret: Buffer.alloc(0), open: [], ttlMs: 0 };
    const hello = {
      version: 1,
      purpose: Purpose.SESSIONLESS,
      token: "",
      client: "torture",
      application: "",
      forwarded: undefined,
      direct: false,
      ...noSession,
    };
    connection.send({ hello, operations: [{ sequence: 1, keep: undefined, body }] });
    const told = await answer;
    connection.cut();
    return told;
  } catch {
    return undefined; // Nobody listens.
  } finally {
    cancel();
  }
}
