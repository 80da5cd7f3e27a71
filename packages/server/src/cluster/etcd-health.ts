// etcd-health.ts: how the members of etcd are, for operators. Not here: what follows from it (log/etcd/admission.ts).
//   H1. However often it is asked, the members are looked at once a second, and for a second at most.
import type { EtcdInfo, EtcdMember } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import type { Etcd, MemberAlarm, MemberStatus } from "../etcd/etcd.ts";

/** Whether growth is refused, and how large the largest file was when that was decided. */
export interface AdmissionWords {
  readonly why: string | undefined;
  readonly fileBytes: number;
}

export interface EtcdHealthOptions {
  readonly etcd: Pick<Etcd, "status" | "alarms">;
  /** As in the settings: those that do not answer are told too. */
  readonly endpoints: readonly string[];
  /** For members that do not tell their own. */
  readonly quotaBytes: number;
  readonly admission: () => AdmissionWords;
  readonly clock: Clock;
}

const FRESH_MS = 1_000;
const DEADLINE_MS = 1_000;

type Look = Pick<EtcdInfo, "members" | "unreachable">;

export class EtcdHealth {
  readonly #options: EtcdHealthOptions;
  #last: Promise<Look> | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: EtcdHealthOptions) {
    this.#options = options;
  }

  get fileBytes(): number {
    return this.#options.admission().fileBytes;
  }

  /** Does not reject. */
  async look(): Promise<EtcdInfo> {
    const { clock, admission } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#last === undefined || nowMs - this.#lookedAtMs >= FRESH_MS) {
      this.#lookedAtMs = nowMs; // H1
      this.#last = this.#ask();
    }
    const { why } = admission();
    return {
      ...(await this.#last),
      admission: why === undefined ? "open" : "growth_refused",
      admissionReason: why ?? "",
    };
  }

  async #ask(): Promise<Look> {
    const { etcd, endpoints } = this.#options;
    const addresses = endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, "").replace(/\/$/, ""));
    const [statuses, alarms] = await Promise.allSettled([
      etcd.status({ deadlineMs: DEADLINE_MS }),
      etcd.alarms({ deadlineMs: DEADLINE_MS }),
    ]);
    const known = statuses.status === "fulfilled" ? statuses.value : [];
    const raised = alarms.status === "fulfilled" ? alarms.value : [];
    const silent = addresses.filter((address) => !known.some(({ endpoint }) => endpoint === address));
    return {
      members: [
        ...known.map((status) => this.#memberOf(status, raised)),
        ...silent.map((endpoint) => ({ ...NO_ANSWER, alarms: [], errors: [], endpoint })),
      ].sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1)),
      // Each member answers for itself; alarms are a read that needs a leader.
      unreachable: [statuses, alarms]
        .flatMap((each) => (each.status === "rejected" ? [String(each.reason)] : []))
        .join("; "),
    };
  }

  #memberOf(status: MemberStatus, alarms: readonly MemberAlarm[]): EtcdMember {
    return {
      endpoint: status.endpoint,
      answered: true,
      version: status.version,
      leader: status.isLeader,
      hasLeader: status.hasLeader,
      fileBytes: status.dbBytes,
      inUseBytes: status.dbInUseBytes,
      quotaBytes: status.quotaBytes > 0 ? status.quotaBytes : this.#options.quotaBytes,
      alarms: alarms.filter(({ memberId }) => memberId === status.memberId).map(({ kind }) => kind),
      errors: [...status.errors],
    };
  }
}

const NO_ANSWER = {
  ...{ answered: false, version: "", leader: false, hasLeader: false },
  ...{ fileBytes: 0, inUseBytes: 0, quotaBytes: 0 },
};
