// conversation.ts: what tests say to a cluster, and what they are told, in few words.
import type { Reply } from "@forelock/protocol";
import type { OperationBody } from "../../edge/authorize.ts";
import { acquireBody, type NativeClient } from "../../edge/testing/edge-scene.ts";
import type { ClusterWorld } from "./cluster-world.ts";

export type Body = Awaited<ReturnType<NativeClient["ask"]>>;

export async function ask(world: ClusterWorld, client: NativeClient, body: OperationBody): Promise<Body> {
  const reply = await world.until(client.ask(body));
  if (reply === undefined) throw new Error("nothing was answered");
  return reply;
}

export async function acquire(
  world: ClusterWorld,
  client: NativeClient,
  name: string,
  waitMs?: number,
): Promise<bigint> {
  const body = await ask(world, client, acquireBody(name, waitMs));
  if (body.$case !== "acquire" || told(body) !== "granted 1") throw new Error(`${name}: ${told(body)}`);
  return body.value.grants[0]?.token ?? 0n;
}

/** All that came, in words. */
export function notices(client: NativeClient): readonly string[] {
  return client.frames
    .flatMap((frame) => frame.notices)
    .map(({ body }) => {
      if (body?.$case === "operation") return `${body.value.sequence} ${told({ $case: "acquire", value: body.value })}`;
      return body?.$case === "lost" ? `lost ${body.value.name} ${body.value.why}` : (body?.$case ?? "");
    });
}

/** A reply in one word or two. */
export function told(body: Reply["body"]): string {
  if (body?.$case === "error") return `error ${body.value.code}`;
  if (body?.$case !== "acquire") return body?.$case ?? "nothing";
  const { state, error, grants, position } = body.value;
  if (error !== undefined) return `ended ${error.code}`;
  return state === 0 ? `queued ${position}` : `granted ${grants.length}`;
}
