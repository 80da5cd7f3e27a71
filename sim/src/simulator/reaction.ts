// reaction.ts: what a simulated client does when it is warned: acknowledges, asks for time, releases in time, too late or not at all.
//   B1. Whoever was told that its release was carried out is never told that it was forced.
import type { PreemptionFailure, PreemptionWarning } from "@forelock/protocol";
import { between, choose } from "../proxy/random.ts";
import type { SimulatedClient } from "./client.ts";
import { expectRule } from "./violation.ts";
import { FILES, keepChoice, releaseWhole, type World } from "./workload.ts";

const MANNERS = [
  "obeys",
  "obeys",
  "obeys silently",
  "asks for time",
  "asks for time",
  "is late",
  "ignores",
  "ignores",
] as const;
const AGAIN_RATIO = 0.15;
const EXTENSION_MS_MAX = 3_600;

export class Reactions {
  readonly #seen = new Set<string>();
  readonly #released = new Set<string>();

  warned(world: World, client: SimulatedClient, warning: PreemptionWarning): void {
    const { random } = client.options;
    if (client.isHung) return;
    const key = `${client.options.name} ${warning.warning}`;
    if (this.#seen.has(key) && random() >= AGAIN_RATIO) return; // One of the copies.
    this.#seen.add(key);
    const manner = choose(random, MANNERS);
    world.count(`warned: ${manner}`);
    switch (manner) {
      case "obeys":
        acknowledge(client, warning, undefined);
        return this.#releaseIn(client, warning, random() * 0.8);
      case "obeys silently":
        return this.#releaseIn(client, warning, random() * 0.8);
      case "asks for time":
        // Several at once: a budget must hold for those that are judged side by side too.
        for (let times = choose(random, [1, 2, 4]); times > 0; times -= 1)
          acknowledge(client, warning, between(random, 1, EXTENSION_MS_MAX));
        return this.#releaseIn(client, warning, random() * 1.5);
      case "is late":
        return this.#releaseIn(client, warning, 0.9 + random() * 0.2);
      case "ignores":
        // It goes on working, until somebody stops it: that is what there is to undo.
        for (let left = 4; left > 0; left -= 1) this.#workIn(client, warning, random());
        return;
    }
  }

  failed(client: SimulatedClient, { name, token }: PreemptionFailure): void {
    const wasReleased = this.#released.has(`${client.sessionId} ${name} ${token}`);
    expectRule(!wasReleased, "forced-after-release", () => `${client.options.name}: ${name} ${token}`); // B1
  }

  #workIn(client: SimulatedClient, { name, token, countdownMs }: PreemptionWarning, share: number): void {
    const file = FILES.find(({ element }) => element === name)?.file;
    if (file === undefined) return;
    client.options.clock.after(share * countdownMs, () => {
      const isHeld = client.holds.get(`${name} ${token}`)?.isChanging === false;
      if (!isHeld || client.isHung || client.isEnded || client.isClosing) return;
      const bytes = Buffer.from(`${client.options.name} works on;`);
      const value = { file, element: file === name ? "" : name, token, bytes };
      client.request({ $case: "append", value }, undefined, () => {});
    });
  }

  #releaseIn(client: SimulatedClient, { name, token, countdownMs }: PreemptionWarning, share: number): void {
    client.options.clock.after(share * countdownMs, () => {
      const hold = client.holds.get(`${name} ${token}`);
      if (hold === undefined || hold.isChanging || client.isHung || client.isEnded || client.isClosing) return;
      client.drop(hold);
      releaseWhole(client, { $case: "release", value: { name, token, undo: false } }, undefined, () => {
        this.#released.add(`${client.sessionId} ${name} ${token}`);
      });
    });
  }
}

function acknowledge(client: SimulatedClient, warning: PreemptionWarning, extensionMs: number | undefined): void {
  const { random } = client.options;
  const value = { warning: warning.warning, name: warning.name, extensionMs, reason: "simulated" };
  client.request({ $case: "acknowledge", value }, keepChoice(random, 0.1), () => {});
}
