// referee.ts: watches a scene step by step and complains when a rule of the lock core is broken. Knows the rules, not the code:
// it compares the tables before and after each step.
//   L1 and replay are the scene's own; here are L2 (nobody overtakes), L4 (only the living are granted), tokens that rise, no lost
//   wake-up, counts that are those of the rows, and the same answer to the same request.
import { assert } from "@forelock/protocol";
import { nextGrant } from "../../lock/grant.ts";
import { isBefore } from "../../lock/lane.ts";
import { CONFLICTS, intentOf, type QueueMode, SHARED } from "../../lock/mode.ts";
import type { Command, RequestId, SessionIdentity } from "../commands.ts";
import { addFile, addJudgement } from "../hash.ts";
import { createState, type Grant, holdersOf, isLive, type Outcome, type PartitionState, type Wait } from "../state.ts";
import { Scene } from "./scene.ts";

export type Request = Command & { readonly session: SessionIdentity; readonly request: RequestId };

interface Answered {
  readonly command: Request;
  outcome: Outcome | "queued";
  /** The life of the session that asked: what it was answered is forgotten with it, unless it is kept. */
  readonly life: number;
}

export class Referee {
  readonly scene: Scene;
  readonly answered: Answered[] = [];
  readonly #lives = new Map<string, number>();
  #highestToken = 0n;

  constructor() {
    this.scene = new Scene({
      waitersMax: 6,
      locksMax: 8,
      unansweredMax: 40,
      keptMax: 4,
      fileBytesMax: 60,
      effectsMax: 4,
    });
  }

  get state(): PartitionState {
    return this.scene.state;
  }

  /** @returns what the operation says */
  ask(command: Request): Outcome | "queued" {
    const outcome = this.#watch(() => this.scene.operate(command));
    this.answered.push({ command, outcome, life: this.lifeOf(command.session.id) });
    return outcome;
  }

  do(command: Command): void {
    if (command.kind === "end_session") this.#lives.set(command.sessionId, this.lifeOf(command.sessionId) + 1);
    this.#watch(() => this.scene.do(command));
  }

  after(ms: number): void {
    this.#watch(() => this.scene.after(ms));
  }

  lifeOf(sessionId: string): number {
    return this.#lives.get(sessionId) ?? 0;
  }

  /** Asks what was asked before: the same request finds the same operation, whatever happened since. */
  askAgain(answer: Answered): void {
    const { command, outcome: before } = answer;
    const { request, session } = command;
    const row = this.state.sessions.get(session.id);
    const isRemembered =
      request.requestId === "" &&
      row !== undefined &&
      answer.life === this.lifeOf(session.id) &&
      request.sequence >= row.lowest &&
      before !== "queued" &&
      before.kind !== "refused" &&
      !(before.kind === "cancelled" && !before.cancelled);
    const counts = { wait: this.state.nextWait, grant: this.state.grantCounter };
    const outcome = this.#watch(() => this.scene.operate(command));
    if (!isRemembered) return;
    const undone = before.kind === "appended" && outcome !== "queued" && outcome.kind === "appended" && outcome.undone;
    const expected = before.kind === "appended" ? { ...before, undone } : before;
    assert(JSON.stringify(outcome, text) === JSON.stringify(expected, text), "the same request has the same answer");
    assert(this.state.nextWait === counts.wait, "a repeated request queues nothing");
  }

  /** Rows that a state should not have once nobody is there; {} when all is well. */
  leftovers(): Readonly<Record<string, number>> {
    const { elements, waits, sessions, sessionByNumber, tombstones, kept, keptByPrincipal, parts, batches } =
      this.state;
    const { grants, operations, files, warnings, warningByTarget, termsByTarget, compensations, contended } =
      this.state;
    const bare = createState(0);
    for (const file of files.values()) addFile(bare, 1, file);
    for (const judgement of this.state.judgements) addJudgement(bare, 1, judgement); // They outlive sessions, as files do.
    const sizes = {
      ...{ elements, waits, sessions, sessionByNumber, tombstones, kept, keptByPrincipal, parts, batches },
      ...{ warnings, warningByTarget, termsByTarget, compensations, contended },
    };
    const rows = Object.entries(sizes).map(([name, table]): [string, number] => [name, table.size]);
    const hash = this.state.hashLow === bare.hashLow && this.state.hashHigh === bare.hashHigh ? 0 : 1;
    const due = this.state.deadlines.first() === undefined ? 0 : 1;
    const provisional = [...files.values()].filter((file) => file.provisionalFrom >= 0).length;
    const all = [...rows, ["grants", grants], ["operations", operations], ["hash", hash], ["due", due]] as const;
    return Object.fromEntries([...all, ["provisional", provisional] as const].filter(([, count]) => count !== 0));
  }

  #watch<Result>(step: () => Result): Result {
    const waiting = new Map([...this.state.waits.values()].map((wait) => [wait.id, wait]));
    const phases = new Map([...this.state.elements.values()].map((element) => [element, element.readersBefore]));
    const held = new Set(allGrants(this.state).map((grant) => `${grant.element.name} ${grant.token}`));
    const reserved = new Set(allGrants(this.state).filter((grant) => grant.reserved));
    const result = step();
    const grants = allGrants(this.state);
    const made = grants.filter((grant) => !grant.reserved && !held.has(`${grant.element.name} ${grant.token}`));
    for (const grant of made) {
      assert(grant.token > this.#highestToken, "tokens only rise");
      // A part of a batch was granted when it was reserved; its token follows.
      assert(reserved.has(grant) || isLive(grant.session, this.state.clockMs), "only the living are granted");
    }
    for (const { token } of grants) if (token > this.#highestToken) this.#highestToken = token;
    for (const wait of waiting.values()) if (wasGranted(this.state, wait)) this.#checkOvertaken(wait, phases);
    this.#checkQueues();
    this.#checkEffects(grants);
    return result;
  }

  /** L2, with the exception of L3. */
  #checkOvertaken(granted: Wait, phases: ReadonlyMap<unknown, number>): void {
    if (granted.upgradeOf !== undefined) return; // It comes before everyone.
    for (const other of this.state.waits.values()) {
      if (!isBefore(other, granted) || !isLive(other.session, this.state.clockMs)) continue;
      for (const [element, mode] of placesOf(granted)) {
        for (const [elsewhere, otherMode] of placesOf(other)) {
          if (elsewhere !== element || !CONFLICTS[mode].includes(otherMode)) continue;
          const readersBefore = Math.max(phases.get(element) ?? 0, element.readersBefore);
          const isItsPhase = mode === SHARED && granted.parts.length === 1 && granted.id < readersBefore;
          assert(isItsPhase, `wait ${granted.id} does not overtake wait ${other.id} at ${element.name}`);
        }
      }
    }
  }

  #checkQueues(): void {
    const waitingByElement = new Map<string, number>();
    for (const wait of this.state.waits.values()) {
      const places = new Set([...placesOf(wait)].map(([element, mode]) => `${mode} ${element.name}`));
      for (const place of places) {
        const name = place.slice(2);
        waitingByElement.set(name, (waitingByElement.get(name) ?? 0) + 1);
      }
      for (const [element] of placesOf(wait))
        assert(this.state.elements.get(element.name) === element, "a wait's element exists");
    }
    const below = new Map<string, { shared: number; exclusive: number }>();
    for (const grant of allGrants(this.state)) {
      assert(this.state.elements.get(grant.element.name) === grant.element, "a grant's element exists");
      for (const ancestor of grant.element.ancestors) {
        assert(this.state.elements.get(ancestor.name) === ancestor, "what is above a grant exists");
        const counts = below.get(ancestor.name) ?? { shared: 0, exclusive: 0 };
        counts[grant.mode === SHARED ? "shared" : "exclusive"] += 1;
        below.set(ancestor.name, counts);
      }
    }
    for (const element of this.state.elements.values()) {
      const inLanes = (element.lanes ?? []).reduce((sum, lane) => sum + (lane?.size ?? 0), 0);
      const waiting = waitingByElement.get(element.name) ?? 0;
      assert(element.waiting === waiting && inLanes === waiting, `the lanes of ${element.name} hold its waits`);
      const { shared, exclusive } = below.get(element.name) ?? { shared: 0, exclusive: 0 };
      assert(
        element.intentShared === shared && element.intentExclusive === exclusive,
        "intents are those of the grants below",
      );
      const phase = [...(element.lanes?.[SHARED] ?? [])].filter((wait) => wait.id < element.readersBefore).length;
      assert(element.phaseReaders === phase, "the readers of a phase are counted");
      const next = nextGrant(this.state, element);
      assert(next === undefined, `wait ${next?.id} is not left behind at ${element.name}`); // No lost wake-up.
    }
  }

  /** A file is provisional exactly while a grant could still take its end back. */
  #checkEffects(grants: readonly Grant[]): void {
    const open = new Set(grants.flatMap((grant) => (grant.effects ?? []).map((effect) => effect.file)));
    for (const file of this.state.files.values()) {
      assert(
        file.provisionalFrom >= 0 === open.has(file),
        `${file.name} is provisional while a grant can undo its end`,
      );
      assert(file.provisionalFrom <= file.length, "what is provisional lies within the file");
    }
  }
}

function wasGranted(state: PartitionState, wait: Wait): boolean {
  if (state.waits.has(wait.id)) return false;
  if (wait.reserve) return state.parts.get(wait.operation.requestId) !== undefined;
  return wait.operation.outcome?.kind === "granted";
}

export function allGrants(state: PartitionState): readonly Grant[] {
  return [...state.elements.values()].flatMap((element) => [...holdersOf(element)]);
}

function* placesOf(wait: Wait): IterableIterator<readonly [Wait["parts"][number]["element"], QueueMode]> {
  for (const { element, mode } of wait.parts) {
    yield [element, mode];
    for (const ancestor of element.ancestors) yield [ancestor, intentOf(mode)];
  }
}

const text = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
