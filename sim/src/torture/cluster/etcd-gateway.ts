// etcd-gateway.ts: one member of etcd as operators and this run speak to it: by its JSON gateway, past every proxy.
import type { Endpoint } from "../wire.ts";

export interface EtcdEntry {
  readonly key: string;
  readonly value: string;
}

export interface MemberState {
  readonly memberId: string;
  readonly leaderId: string;
  readonly dbBytes: number;
  readonly term: number;
}

const ANSWER_MS_MAX = 5_000;

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const textOf = (encoded: unknown): string => Buffer.from(String(encoded ?? ""), "base64").toString();

type Json = Readonly<Record<string, unknown>>;

export class EtcdGateway {
  readonly #url: string;

  constructor({ host, port }: Endpoint) {
    this.#url = `http://${host}:${port}`;
  }

  async isHealthy(): Promise<boolean> {
    try {
      const response = await fetch(`${this.#url}/health`, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
      return ((await response.json()) as Json)["health"] === "true"; // Compared here.
    } catch {
      return false;
    }
  }

  /** As this member knows it; others may know more. */
  async list(prefix: string): Promise<readonly EtcdEntry[]> {
    const range = { key: base64(prefix), range_end: base64(endOf(prefix)), serializable: true };
    const { kvs } = await this.#post("kv/range", range);
    return ((kvs ?? []) as readonly Json[]).map(({ key, value }) => ({ key: textOf(key), value: textOf(value) }));
  }

  async put(key: string, value: string): Promise<void> {
    await this.#post("kv/put", { key: base64(key), value: base64(value) });
  }

  async delete(prefix: string): Promise<void> {
    await this.#post("kv/deleterange", { key: base64(prefix), range_end: base64(endOf(prefix)) });
  }

  /** @returns the newest revision, up to which all history is forgotten now */
  async compact(): Promise<number> {
    const { header } = await this.#post("kv/range", { key: base64("/"), count_only: true });
    const { revision } = header as Json; // Every answer has one.
    await this.#post("kv/compaction", { revision });
    return Number(revision);
  }

  async defragment(): Promise<void> {
    await this.#post("maintenance/defragment", {});
  }

  async state(): Promise<MemberState> {
    const { header, leader, dbSize, raftTerm } = await this.#post("maintenance/status", {});
    const memberId = String((header as Json)["member_id"]); // Every answer has one.
    return { memberId, leaderId: String(leader ?? "0"), dbBytes: Number(dbSize), term: Number(raftTerm) };
  }

  /** At the leader only. */
  async moveLeader(targetId: string): Promise<void> {
    await this.#post("maintenance/transfer-leadership", { targetID: targetId });
  }

  /** @returns how many alarms there were */
  async disarm(): Promise<number> {
    const { alarms } = await this.#post("maintenance/alarm", { action: "GET" });
    const raised = (alarms ?? []) as readonly Json[]; // As its schema says.
    for (const { memberID, alarm } of raised) {
      await this.#post("maintenance/alarm", { action: "DEACTIVATE", memberID, alarm });
    }
    return raised.length;
  }

  /** @throws when it refuses, or does not answer in time */
  async #post(path: string, body: Json): Promise<Json> {
    const response = await fetch(`${this.#url}/v3/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`etcd at ${this.#url} refused ${path}: ${text.slice(0, 200)}`);
    return JSON.parse(text) as Json; // What is used of it is looked at.
  }
}

/** The first key behind all with the prefix. */
function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
