// acknowledged.ts: what a client was told is done must be in the log at that moment. Never again is asked: the log keeps it (ledger.ts).
import { OperationState, type Reply } from "@forelock/protocol";
import type { Request, SimulatedClient } from "../simulator/client.ts";
import { expectRule } from "../simulator/violation.ts";
import type { Witness } from "../simulator/witness.ts";

export function judgeAcknowledged(
  witness: Witness,
  client: SimulatedClient,
  request: Request,
  body: NonNullable<Reply["body"]>,
): boolean {
  const { name } = client.options;
  const lost = (what: string) => (): string => `${name} was told that ${what}, and the log does not say so`;
  if (
    body.$case === "acquire" &&
    body.value.state === OperationState.GRANTED &&
    request.body.$case !== "getOperation"
  ) {
    for (const grant of body.value.grants) {
      const key = `${grant.name} ${grant.token}`;
      expectRule(witness.issued.has(key), "acknowledged-lost", lost(`${key} is granted`));
    }
    return true;
  }
  if (body.$case === "release" && request.body.$case === "release" && !body.value.stillHeld) {
    const key = `${request.body.value.name} ${request.body.value.token}`;
    expectRule(witness.endByToken.has(key), "acknowledged-lost", lost(`${key} is released`));
    return true;
  }
  if (body.$case === "append" && request.body.$case === "append" && request.keep === undefined) {
    const key = `${client.sessionId}.${request.sequence}`;
    const found = witness.appended.get(key);
    expectRule(found?.index === body.value.index, "acknowledged-lost", lost(`${key} is record ${body.value.index}`));
    return true;
  }
  return false;
}
