// admission.ts: refuses growth before etcd's quota is reached, while there is room to serve all that makes things smaller. Not
// here: what counts as growth (the caller: acquiring, appending, opening; never release, heartbeat, cancel, delete).
//   I1. Between "growth_refused" and "open" lies a gap, so that the answer does not change with every record.
//   I2. The member that is worst off decides: etcd stops when any of them is full.
import type { Etcd, MemberStatus } from "../../etcd/etcd.ts";

export type Admission = "open" | "growth_refused";

export interface AdmissionOptions {
  readonly etcd: Etcd;
  /** The members' --quota-backend-bytes; where a member tells its own, the smaller holds. */
  readonly quotaBytes: number;
}

export interface AdmissionState {
  readonly admission: Admission;
  /** Why growth is refused; undefined while it is not. */
  readonly why: string | undefined;
  /** Of the member that is worst off; 0 before the first look. */
  readonly quotaBytes: number;
  readonly fileBytes: number;
  readonly inUseBytes: number;
  /** What is left for those that are always served. */
  readonly reservedBytes: number;
}

export const QUOTA_BYTES_DEFAULT = 2 * 1024 ** 3;
/** Of the quota in use: from here on no growth, */
const REFUSED_FROM = 0.75;
/** and below this again. */
const OPEN_BELOW = 0.65;
/** A file this near the quota cannot grow: only what is free inside it is left, */
const FILE_FULL_FROM = 0.9;
/** and it must be this much of the file for growth, and a bit more to begin again. */
const FREE_MIN = 0.3;
const FREE_TO_OPEN = 0.4;

export class AdmissionControl {
  readonly #options: AdmissionOptions;
  #state: AdmissionState;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { quotaBytes } = options;
    const reservedBytes = (1 - REFUSED_FROM) * quotaBytes;
    this.#state = { admission: "open", why: undefined, quotaBytes, fileBytes: 0, inUseBytes: 0, reservedBytes };
  }

  get state(): AdmissionState {
    return this.#state;
  }

  admission(): Admission {
    return this.#state.admission;
  }

  /** Looks at the members. Rejects with an EtcdError when none answers; what was known then stands. */
  async refresh(): Promise<AdmissionState> {
    const { etcd } = this.#options;
    const [members, alarms] = await Promise.all([etcd.status(), etcd.alarms()]);
    const isFull = alarms.some(({ kind }) => kind === "no_space");
    const states = members.map((member) => this.#judge(member, isFull));
    this.#state = states.find(({ admission }) => admission === "growth_refused") ?? fullest(states) ?? this.#state; // I2
    return this.#state;
  }

  #judge(member: MemberStatus, isFull: boolean): AdmissionState {
    const quotaBytes =
      member.quotaBytes > 0 ? Math.min(member.quotaBytes, this.#options.quotaBytes) : this.#options.quotaBytes;
    const { dbBytes: fileBytes, dbInUseBytes: inUseBytes } = member;
    const why = isFull ? "etcd is full: it says so by an alarm" : this.#reason({ quotaBytes, fileBytes, inUseBytes });
    return {
      admission: why === undefined ? "open" : "growth_refused",
      why,
      quotaBytes,
      fileBytes,
      inUseBytes,
      reservedBytes: (1 - REFUSED_FROM) * quotaBytes,
    };
  }

  #reason({ quotaBytes, fileBytes, inUseBytes }: Pick<AdmissionState, "quotaBytes" | "fileBytes" | "inUseBytes">) {
    const isRefusing = this.#state.admission === "growth_refused"; // I1
    const used = inUseBytes / quotaBytes;
    if (used >= (isRefusing ? OPEN_BELOW : REFUSED_FROM))
      return `${percent(used)} of etcd's quota of ${quotaBytes} bytes are in use`;
    const free = fileBytes === 0 ? 1 : (fileBytes - inUseBytes) / fileBytes;
    if (fileBytes / quotaBytes < FILE_FULL_FROM || free >= (isRefusing ? FREE_TO_OPEN : FREE_MIN)) return undefined;
    return `etcd's file is at ${percent(fileBytes / quotaBytes)} of its quota, and only ${percent(free)} of it are free`;
  }
}

function fullest(states: readonly AdmissionState[]): AdmissionState | undefined {
  return [...states].sort((a, b) => b.inUseBytes / b.quotaBytes - a.inUseBytes / a.quotaBytes)[0];
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}
