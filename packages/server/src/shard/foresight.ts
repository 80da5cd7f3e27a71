// foresight.ts: the loop that looks ahead: contended grants and requests that wait are assessed again and again; what the policy
// says is then submitted as a command, told to clients, and its outcome remembered. Not here: what is learned (profiles.ts), how risk
// is judged (preempt/engine.ts), what a warning does to the partition (preempt/decide.ts), what operators ask (insight.ts).
//   F1. Nothing here changes a partition: it submits commands, which are decided on the state of their turn.
//   F2. Work per look is bounded: what is left over is first in the next one.
import { ForelockError, Health, type Notice } from "@forelock/protocol";
import { holdersInTheWay, wantedAt } from "../lock/below.ts";
import type { Mode } from "../lock/mode.ts";
import type { PreemptEvent } from "../partition/events.ts";
import type { LossWhy, Observer } from "../partition/observer.ts";
import {
  ageOf,
  type Element,
  type Grant,
  holdersOf,
  type Judgement,
  type PartitionState,
  type PolicyRow,
  type Wait,
  type Warning,
} from "../partition/state.ts";
import type { Move } from "../preempt/controller.ts";
import { isWarnable } from "../preempt/decide.ts";
import { type Assessment, Engine } from "../preempt/engine.ts";
import { CONTROL_MS } from "../preempt/evidence.ts";
import { Ledger } from "../preempt/ledger.ts";
import type { Policy } from "../preempt/policy.ts";
import { HeartbeatRhythm } from "../preempt/suspicion.ts";
import { isWait, waitersFor } from "../preempt/target.ts";
import { positionOf } from "./answers.ts";
import { Etas, WAITERS_MAX } from "./etas.ts";
import { etaMessage, riskMessage, warningRisk } from "./insight-messages.ts";
import { Models, STEP_MS } from "./models.ts";
import type { Node } from "./node.ts";
import { Policies } from "./policies.ts";
import { clientOf, Profiles } from "./profiles.ts";
import { parseWarning, referenceOf, warningName } from "./reference.ts";
import type { KnownSession } from "./sessions.ts";
import type { Shard } from "./shard.ts";
import { Thresholds } from "./thresholds.ts";

export const LOOK_MS = 200;
/** How far ahead the requests for an element are looked at. */
const ARRIVALS_MS = 600_000;
/** Assessments in one look: about 20 us each. */
const ASSESSED_MAX = 400;
const ESTIMATED_MS_MIN = 100;
/** Waiters whose estimates cost as much as one assessment. */
const WAITERS_AN_ASSESSMENT = 5;
const HOLDERS_MAX = 16;
/** Those among them that are left alone. */
const HOLDERS_PASSED_MAX = 256;
const WAITS_MAX = 8;
/** Of a queue, from its front. */
const WAITS_PASSED_MAX = 256;
/** Copies of an unacknowledged warning come so often: a share of its countdown, within these bounds. */
const RESEND_SHARE = 1 / 8;
const RESEND_MS_MIN = 250;
const RESEND_MS_MAX = 5_000;
/** What a client that reports itself degraded, or failing, adds to the suspicion. */
const ILLNESS: Readonly<Record<number, number>> = { [Health.OK]: 0, [Health.DEGRADED]: 0.2, [Health.FAILING]: 0.7 };
const LAG_ILLNESS_MAX = 0.5;

export class Foresight {
  readonly ledger: Ledger;
  readonly profiles: Profiles;
  readonly policies: Policies;
  readonly etas: Etas;
  readonly models: Models;
  readonly engine: Engine;
  readonly #node: Node;
  readonly #rhythms = new WeakMap<KnownSession, HeartbeatRhythm>();
  readonly #sentAtMs = new WeakMap<Warning, number>();
  readonly #assessed = new WeakMap<Grant | Wait, Assessment>();
  readonly thresholds: Thresholds;
  /** Warnings to be enforced that were submitted and are not decided yet. */
  readonly #promisedByClient = new Map<string, number>();
  /** Countdowns that are to end by force. Counted once a look: between two turns they do not change. */
  #runningByClient: ReadonlyMap<string, number> | undefined;
  /** Policies as they will be, by prefix, that were submitted and are not decided yet. */
  readonly #policiesUnderWay = new Map<string, PolicyRow>();
  /** Where the last look ended. */
  #nextPartition = 0;

  constructor(node: Node) {
    this.#node = node;
    const first = node.options.states[0];
    if (first === undefined) throw new Error("a node has partitions");
    this.policies = new Policies(first);
    this.thresholds = new Thresholds({
      policies: this.policies,
      clock: node.options.clock,
      isLeading: () => node.leads(0),
      others: () => node.peers,
      move: (prefix, move) => this.#move(prefix, move),
    });
    this.ledger = new Ledger((row, isWrong) => this.thresholds.judged(row.name, isWrong));
    this.profiles = new Profiles(this.ledger);
    this.models = new Models(this.profiles, this.ledger, node.options.models);
    this.etas = new Etas(this.profiles);
    const forecasts = node.options.forecasts?.(this.profiles) ?? this.profiles;
    this.engine = new Engine(forecasts, this.ledger, (client) => this.#promised(client));
  }

  /** How often `look` and `control` are to be called. */
  get rhythm(): readonly { readonly everyMs: number; readonly run: () => void }[] {
    return [
      { everyMs: LOOK_MS, run: () => this.look() },
      { everyMs: CONTROL_MS, run: () => this.control() },
      {
        everyMs: STEP_MS,
        run: () => this.models.step(this.#node.options.clock.wallMs(), this.#node.options.load?.() ?? 0),
      },
    ];
  }

  // ------------------------------------------------------------------------------------------------- what happened

  heard(session: KnownSession, nowMs: number): void {
    let rhythm = this.#rhythms.get(session);
    if (rhythm === undefined) {
      rhythm = new HeartbeatRhythm();
      this.#rhythms.set(session, rhythm);
    }
    rhythm.heard(nowMs);
  }

  released(shard: Shard, grant: Grant): void {
    const nowMs = shard.turnAtMs;
    this.profiles.released(grant, ageOf(shard.state, grant), nowMs);
    // The most frequent thing that happens here: nearly always nothing was ever decided about anybody.
    const key = this.ledger.open === 0 ? "" : keyOf(shard.partition, grant);
    const coolDownMs = key === "" ? 0 : this.policies.of(grant.element.name).policy.coolDownMs;
    this.ledger.released(key, clientOf(grant.session), nowMs, coolDownMs);
  }

  lost(shard: Shard, grant: Grant, why: LossWhy, undone: number, warning: number): void {
    const nowMs = this.#nowMs();
    if (this.#node.isPredicting) this.profiles.lost(grant, ageOf(shard.state, grant), nowMs);
    const key = keyOf(shard.partition, grant);
    const name = warning === 0 ? key : warningName(shard.partition, warning);
    this.ledger.ended(key, clientOf(grant.session), why, nowMs, name);
    if (why !== "preempted") return;
    const value = {
      warning: name,
      name: grant.element.name,
      reference: grantReference(shard.partition, grant),
      sequence: grant.sequence,
      token: grant.token,
      fence: grant.token,
      undone,
      reason: "The countdown of a warning ended.",
    };
    this.#tell(shard, grant, { body: { $case: "failure", value } });
  }

  waited(shard: Shard, wait: Wait): void {
    const name = wait.parts[0]?.element.name;
    if (name !== undefined) this.profiles.waited(name, shard.state.clockMs - wait.sinceMs);
    this.etas.granted(wait, this.#nowMs());
    if (this.ledger.open === 0) return;
    const key = keyOf(shard.partition, wait);
    const warning = parseWarning(this.ledger.openDecision(key)?.warning ?? "");
    const target = warning === undefined ? undefined : shard.state.warnings.get(warning.id)?.target;
    if (target !== undefined && target !== wait) this.ledger.renamed(key, keyOf(shard.partition, target));
  }

  /** For a partition that is only followed: profiles go on, and nothing is decided or judged. Undefined: nothing is learned. */
  learner(state: PartitionState): Pick<Observer, "released" | "waited" | "lost"> | undefined {
    if (!this.#node.isPredicting) return undefined;
    const { profiles } = this;
    return {
      released: (grant) => profiles.released(grant, ageOf(state, grant), this.#nowMs()),
      lost: (grant) => profiles.lost(grant, ageOf(state, grant), this.#nowMs()),
      waited: (wait) => {
        const name = wait.parts[0]?.element.name;
        if (name !== undefined) profiles.followed(name, state.clockMs - wait.sinceMs);
      },
    };
  }

  /** Right after the event was applied. */
  happened(shard: Shard, event: PreemptEvent): void {
    const { state, partition } = shard;
    switch (event.kind) {
      case "warned": {
        const warning = state.warnings.get(state.nextWarning - 1);
        if (warning !== undefined) this.#warned(shard, warning);
        return;
      }
      case "warning_acknowledged": {
        const warning = state.warnings.get(event.warning);
        if (warning !== undefined) this.ledger.acknowledged(keyOf(partition, warning.target), event.extensionMs > 0);
        return;
      }
      case "warning_over": {
        // The row is gone, or is still there as ignored or passed over: either way the ledger knows it by its name.
        const row = this.ledger.byWarning(warningName(partition, event.warning));
        if (row !== undefined) this.ledger.over(row.key, event.why);
        return;
      }
      case "policy_set":
        this.policies.changed();
        return;
      case "compensated":
      case "preempted":
      case "terms":
        return;
    }
  }

  /** Takes over what a partition remembers when this node begins to lead it: open warnings, budgets, cool-downs. */
  adopt(shard: Shard): void {
    for (const warning of shard.state.warnings.values())
      this.ledger.adopt(this.#decidedOf(shard, warning), warning.phase !== "warned" && warning.phase !== "ignored");
    for (const judgement of shard.state.judgements) this.#adoptJudgement(shard, judgement);
  }

  /** Its age is that of the partition clock: the time in which nobody served the partition makes nothing older. */
  #adoptJudgement({ state, partition }: Shard, judgement: Judgement): void {
    const client = clientOf(judgement);
    const atMs = this.#nowMs() - (state.clockMs - judgement.atMs);
    const { element } = judgement;
    if (judgement.kind === "forced") this.ledger.adoptForced(client, warningName(partition, judgement.warning), atMs);
    else this.ledger.adoptCoolDown(client, element, atMs + this.policies.of(element).policy.coolDownMs);
  }

  #warned(shard: Shard, warning: Warning): void {
    this.ledger.note(this.#decidedOf(shard, warning));
    this.#send(shard, warning);
  }

  #decidedOf(shard: Shard, warning: Warning): Parameters<Ledger["note"]>[0] {
    const { target } = warning;
    const name = nameOf(target);
    return {
      key: keyOf(shard.partition, target),
      warning: warningName(shard.partition, warning.id),
      kind: isWait(target) ? "pending" : "warned",
      wallMs: this.#node.options.clock.wallMs(),
      atMs: this.#nowMs(),
      name,
      token: isWait(target) ? 0n : target.token,
      client: clientOf(target.session),
      risk: warningRisk(warning),
      threshold: warning.threshold,
      countdownMs: warning.countdownMs,
      waiters: isWait(target) ? 0 : waitersFor(target),
      reason: warning.reason,
    };
  }

  // ------------------------------------------------------------------------------------------------- looking ahead

  look(): void {
    const { shards } = this.#node;
    this.#runningByClient = undefined;
    let left = ASSESSED_MAX;
    for (let step = 0; step < shards.length; step += 1) {
      const shard = shards[(this.#nextPartition + step) % shards.length];
      if (shard === undefined || shard.stopped !== undefined) continue;
      this.#resend(shard);
      if (left <= 0) continue;
      left -= this.#lookAt(shard, left);
      if (left <= 0) this.#nextPartition = (this.#nextPartition + step + 1) % shards.length; // F2
    }
  }

  /** @returns how many were assessed */
  #lookAt(shard: Shard, max: number): number {
    let assessed = 0;
    const looked: Element[] = [];
    for (const element of shard.state.contended) {
      looked.push(element);
      const { policy } = this.policies.of(element.name);
      if (policy.policy !== "off") assessed += this.#estimate(shard, element);
      assessed += this.#lookAtHolders(shard, holdersOf(element), max - assessed);
      const wanted = wantedAt(element);
      if (wanted !== undefined) assessed += this.#lookAtHolders(shard, holdersBelow(element, wanted), max - assessed);
      if (policy.policy === "warn" || policy.policy === "enforce")
        assessed += this.#lookAtWaits(shard, element, policy, max - assessed);
      if (assessed >= max) {
        // The set keeps the order of insertion: all that was looked at goes behind the rest.
        for (const each of looked) {
          shard.state.contended.delete(each);
          shard.state.contended.add(each);
        }
        break;
      }
    }
    return assessed;
  }

  /** The policy that counts is that of the holder's own element. @returns how many were assessed */
  #lookAtHolders(shard: Shard, holders: Iterable<Grant>, max: number): number {
    let assessed = 0;
    let looked = 0;
    let passed = 0;
    for (const grant of holders) {
      passed += 1;
      if (assessed >= max || looked >= HOLDERS_MAX || passed > HOLDERS_PASSED_MAX) break; // F2
      const { policy, threshold } = this.policies.of(grant.element.name);
      if (policy.policy === "off") continue;
      looked += 1;
      if (grant.reserved || ageOf(shard.state, grant) < policy.minimumHoldMs) continue;
      assessed += 1;
      this.#consider(shard, grant, policy, threshold);
    }
    return assessed;
  }

  /** Waits that end in a moment are not worth an estimate. @returns what it cost, in assessments */
  #estimate(shard: Shard, element: Element): number {
    const { state } = shard;
    let oldestMs = 0;
    for (const lane of element.lanes ?? [])
      oldestMs = Math.max(oldestMs, state.clockMs - (lane?.first()?.sinceMs ?? state.clockMs));
    if (oldestMs < ESTIMATED_MS_MIN) return 0;
    for (const { wait, estimate, isSoon } of this.etas.look(state, element, this.#nowMs())) {
      if (wait.reserve) continue;
      const value = {
        sequence: wait.operation.sequence,
        reference: referenceOf(shard.partition, wait.operation),
        position: positionOf(wait),
        eta: etaMessage(estimate),
        soon: isSoon,
      };
      const { id } = wait.session;
      // In a turn of its own: what it tells of must be durable.
      shard.read(
        () => () => this.#node.directory.get(id)?.sink?.notify({ body: { $case: "moved", value } }),
        () => {},
      );
    }
    return 1 + Math.ceil(Math.min(WAITERS_MAX, element.waiting) / WAITERS_AN_ASSESSMENT);
  }

  #consider(shard: Shard, grant: Grant, policy: Policy, threshold: number): void {
    const nowMs = this.#nowMs();
    this.profiles.watch(grant, ageOf(shard.state, grant), nowMs);
    const assessment = this.assess(shard.state, grant, policy, threshold);
    if (assessment.action === "none" || shard.state.warningByTarget.has(grant)) return;
    if (assessment.action === "observe") {
      const key = keyOf(shard.partition, grant);
      if (this.ledger.openDecision(key) !== undefined) return;
      this.ledger.note({
        ...{ key, kind: "observed", wallMs: this.#node.options.clock.wallMs(), atMs: nowMs },
        ...{ name: grant.element.name, token: grant.token, client: clientOf(grant.session) },
        ...{ risk: assessment.risk, threshold, countdownMs: assessment.countdownMs },
        ...{ waiters: waitersFor(grant), reason: assessment.reason },
      });
      return;
    }
    const target = { name: grant.element.name, token: grant.token, wait: 0 };
    this.#submitWarning(shard, clientOf(grant.session), target, assessment);
  }

  /** Those next in line: who comes later has time to be looked at. */
  #lookAtWaits(shard: Shard, element: Element, policy: Policy, max: number): number {
    let assessed = 0;
    for (const lane of element.lanes ?? []) {
      let passed = 0;
      for (const wait of lane ?? []) {
        if (assessed >= Math.min(max, WAITS_MAX)) return assessed;
        passed += 1;
        if (passed > WAITS_PASSED_MAX) break; // Many may be there that no warning is for.
        if (!isWarnable(wait) || wait.parts[0]?.element !== element || shard.state.warningByTarget.has(wait)) continue;
        assessed += 1;
        const assessment = this.assessWait(wait, policy);
        if (assessment.action !== "none")
          this.#submitWarning(shard, clientOf(wait.session), { name: "", token: 0n, wait: wait.id }, assessment);
      }
    }
    return assessed;
  }

  #submitWarning(
    shard: Shard,
    client: string,
    target: { readonly name: string; readonly token: bigint; readonly wait: number },
    { risk, threshold, countdownMs, reason, action }: Assessment,
  ): void {
    const { score, parts } = risk;
    const promise = action === "enforce" ? 1 : 0;
    this.#promise(client, promise);
    const cause = { countdownMs, enforce: action === "enforce", score, threshold, parts, reason, by: "" };
    shard.submit(
      { kind: "warn", ...target, cause },
      () => {
        this.#promise(client, -promise); // From now on the tables show it.
        return undefined;
      },
      () => this.#promise(client, -promise), // The log failed: there is nothing to warn of any more.
    );
  }

  #promise(client: string, by: number): void {
    const promised = (this.#promisedByClient.get(client) ?? 0) + by;
    if (promised === 0) this.#promisedByClient.delete(client);
    else this.#promisedByClient.set(client, promised);
  }

  /** Countdowns of a client that are to end by force: those that run, or will with a grant, and those on their way. */
  #promised(client: string): number {
    this.#runningByClient ??= this.#countRunning();
    return (this.#promisedByClient.get(client) ?? 0) + (this.#runningByClient.get(client) ?? 0);
  }

  #countRunning(): ReadonlyMap<string, number> {
    const running = new Map<string, number>();
    for (const { state } of this.#node.shards) {
      for (const { enforce, phase, target } of state.warnings.values()) {
        if (!enforce || phase === "ignored" || phase === "passed_over") continue;
        const client = clientOf(target.session);
        running.set(client, (running.get(client) ?? 0) + 1);
      }
    }
    return running;
  }

  assess(state: PartitionState, grant: Grant, policy: Policy, threshold: number): Assessment {
    const { element, session } = grant;
    const known = this.#node.directory.get(session.id);
    const assessment = this.engine.assess(
      {
        self: this.profiles.handleOf(grant),
        client: clientOf(session),
        element: element.name,
        ageMs: ageOf(state, grant),
        waiters: waitersFor(grant),
        arrivalsPerMs: this.models.expectedRequests(element.name, ARRIVALS_MS) / ARRIVALS_MS,
        silenceRatio: this.suspicion(known),
        illnessRatio: illnessOf(known),
        contentionRatio: this.profiles.contentionRatio(element.name),
        loadRatio: this.#node.options.load?.() ?? 0,
        ttlMs: session.ttlMs,
      },
      policy,
      threshold,
      this.#nowMs(),
    );
    this.#assessed.set(grant, assessment);
    return assessment;
  }

  assessWait(wait: Wait, policy: Policy): Assessment {
    const element = wait.parts[0]?.element;
    const known = this.#node.directory.get(wait.session.id);
    const name = element?.name ?? "";
    const assessment = this.engine.assessWait(
      {
        client: clientOf(wait.session),
        element: name,
        waiters: Math.max(0, (element?.waiting ?? 1) - 1),
        silenceRatio: this.suspicion(known),
        illnessRatio: illnessOf(known),
        contentionRatio: this.profiles.contentionRatio(name),
        loadRatio: this.#node.options.load?.() ?? 0,
      },
      policy,
      this.#nowMs(),
    );
    this.#assessed.set(wait, assessment);
    return assessment;
  }

  /** What the last look said; undefined for what was never looked at. */
  lastAssessment(target: Grant | Wait): Assessment | undefined {
    return this.#assessed.get(target);
  }

  /** 0 to 1: that the client is gone, by its silence. */
  suspicion(known: KnownSession | undefined): number {
    if (known === undefined) return 0;
    return this.#rhythms.get(known)?.suspicion(this.#nowMs(), known.heardAtMs) ?? 0;
  }

  jitterMs(known: KnownSession): number {
    return this.#rhythms.get(known)?.jitterMs ?? 0;
  }

  // ------------------------------------------------------------------------------------------------- telling clients

  /** Part of `look`; alone it is called as often where nothing is predicted: warnings are given by hand there. */
  resend(): void {
    for (const shard of this.#node.shards) if (shard.stopped === undefined) this.#resend(shard);
  }

  #resend(shard: Shard): void {
    if (shard.state.warnings.size === 0) return;
    const nowMs = this.#nowMs();
    for (const warning of shard.state.warnings.values()) {
      if (warning.phase !== "warned") continue;
      const everyMs = Math.min(RESEND_MS_MAX, Math.max(RESEND_MS_MIN, warning.countdownMs * RESEND_SHARE));
      if (nowMs - (this.#sentAtMs.get(warning) ?? Number.NEGATIVE_INFINITY) >= everyMs) {
        // In a turn: what is told must be durable, and as it is then.
        this.#sentAtMs.set(warning, nowMs);
        shard.read(
          (state) => {
            if (state.warnings.get(warning.id) === warning && warning.phase === "warned") this.#send(shard, warning);
            return undefined;
          },
          () => {},
        );
      }
    }
  }

  /** From inside a turn. */
  #send(shard: Shard, warning: Warning): void {
    this.#sentAtMs.set(warning, this.#nowMs());
    const { target } = warning;
    const leftMs = Number.isFinite(warning.endsAtMs)
      ? Math.max(0, Math.floor(warning.endsAtMs - shard.state.clockMs))
      : warning.countdownMs;
    const { policy } = this.policies.of(nameOf(target)).policy;
    const value = {
      warning: warningName(shard.partition, warning.id),
      name: nameOf(target),
      reference: isWait(target)
        ? referenceOf(shard.partition, target.operation)
        : grantReference(shard.partition, target),
      sequence: isWait(target) ? target.operation.sequence : target.sequence,
      token: isWait(target) ? 0n : target.token,
      risk: riskMessage(shard.state, warning, policy),
      countdownMs: leftMs,
      releaseAtMs: Math.floor(this.#node.options.clock.wallMs() + leftMs),
      enforced: warning.enforce,
      reason: warning.reason,
    };
    this.#tell(shard, target, { body: { $case: "warning", value } });
  }

  #tell(shard: Shard, target: Grant | Wait, notice: Notice): void {
    const { id } = target.session;
    shard.afterDurable(() => this.#node.directory.get(id)?.sink?.notify(notice));
  }

  // ------------------------------------------------------------------------------------------------- thresholds

  /** Moves the thresholds, a step at a time. Every move is an event in the log. */
  control(): void {
    this.etas.sweep();
    this.ledger.sweep((name) => {
      const warning = parseWarning(name);
      return warning !== undefined && this.#node.shards[warning.partition]?.state.warnings.has(warning.id) === true;
    });
    for (const { name, waitMs } of this.profiles.takeWaits()) this.thresholds.waited(name, waitMs);
    this.thresholds.control();
  }

  /** What was gathered here for the node that leads the policies. It is forgotten here. */
  take(): ReturnType<Thresholds["take"]> {
    for (const { name, waitMs } of this.profiles.takeWaits()) this.thresholds.waited(name, waitMs);
    return this.thresholds.take();
  }

  #move(prefix: string, { reason, threshold }: Move): void {
    this.setPolicy(prefix, {}, { by: "controller", reason, threshold }).catch((error: unknown) => {
      this.#node.options.note("threshold not moved", { prefix, error: String(error) });
    });
  }

  /**
   * Changes what is set at a prefix; an empty value takes a field back to what the shorter prefix says. Resolves when durable.
   * @param change.threshold where the controller moves it; undefined when an operator sets fields, who thereby ends its moves
   */
  setPolicy(
    prefix: string,
    set: Readonly<Record<string, string>>,
    change: { readonly by: string; readonly reason: string; readonly threshold?: number },
  ): Promise<void> {
    const shard = this.#node.shards[0];
    if (shard === undefined) return Promise.reject(new ForelockError("internal", "A node has partitions."));
    const before = this.#policiesUnderWay.get(prefix) ?? this.policies.row(prefix);
    const fields = new Map(before?.set);
    for (const [name, value] of Object.entries(set)) {
      if (value === "") fields.delete(name);
      else fields.set(name, value);
    }
    const { clock } = this.#node.options;
    const { by, reason } = change;
    const isMove = change.threshold !== undefined;
    const row = { set: fields, threshold: change.threshold ?? -1, by, reason, wallMs: Math.floor(clock.wallMs()) };
    this.#policiesUnderWay.set(prefix, row); // Who changes another field before the next turn must not undo this.
    return new Promise((resolve, reject) => {
      shard.submit(
        { kind: "set_policy", prefix, row },
        () => {
          if (this.#policiesUnderWay.get(prefix) === row) this.#policiesUnderWay.delete(prefix);
          const from = before === undefined || before.threshold < 0 ? "its setting" : String(before.threshold);
          this.ledger.remark({
            ...{ kind: isMove ? "threshold" : "policy", wallMs: row.wallMs },
            ...{ name: prefix, client: by, threshold: row.threshold },
            reason: isMove ? `From ${from} to ${row.threshold}. ${reason}` : reason,
          });
          return () => resolve();
        },
        reject,
      );
    });
  }

  #nowMs(): number {
    return this.#node.options.clock.monotonicMs();
  }
}

/** Those below that nobody waits for at their own elements: the others are looked at there. */
function* holdersBelow(element: Element, wanted: Mode): IterableIterator<Grant> {
  for (const grant of holdersInTheWay(element, wanted)) if (grant.element.waiting === 0) yield grant;
}

export function nameOf(target: Grant | Wait): string {
  return isWait(target) ? (target.parts[0]?.element.name ?? "") : target.element.name;
}

/** Names a grant or wait within the node. Not by its token, which an upgrade changes. */
export function keyOf(partition: number, target: Grant | Wait): string {
  if (isWait(target)) return `${partition}/w${target.id}`;
  const { session, sequence, requestId, element } = target;
  return `${partition}/${session.number}.${sequence}.${requestId}/${element.name}`;
}

export function grantReference(partition: number, { session, sequence, requestId }: Grant): string {
  return referenceOf(partition, { sessionId: session.id, sequence, requestId });
}

function illnessOf(known: KnownSession | undefined): number {
  if (known === undefined) return 0;
  const late = Math.min(LAG_ILLNESS_MAX, known.lagMs / known.ttlMs);
  return Math.max(ILLNESS[known.health] ?? 0, late);
}
