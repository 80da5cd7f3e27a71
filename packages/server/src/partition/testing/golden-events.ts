// golden-events.ts: one event of every kind with its bytes. A log of any release must read the same for ever: never change a line
// here, only add one. What `codec.ts` writes short has a line for each form.
import type { EventRequest, PartitionEvent } from "../events.ts";

const REQUEST: EventRequest = { session: 3, sequence: 300, requestId: "", keepMs: 0, digest: -7 };
const KEPT: EventRequest = {
  session: 3,
  sequence: 0,
  requestId: "kept-request-0123456789ab",
  keepMs: 3_600_000,
  digest: 7,
};
const TERMS = { request: REQUEST, rollback: false, actor: "", reserve: false, upgradeOf: 0n };
const PLAIN = { name: "orders/42", mode: 0, take: 1, limit: 0 } as const;
const TOKEN = (7n << 40n) + 42n;

interface Golden<One extends PartitionEvent> {
  readonly event: One;
  /** base64 */
  readonly bytes: string;
}

/** By kind; the compiler asks for every one. */
const BY_KIND: { readonly [Kind in PartitionEvent["kind"]]: Golden<PartitionEvent & { readonly kind: Kind }> } = {
  started: { event: { kind: "started", epoch: 7 }, bytes: "AQc=" },
  session_opened: {
    event: {
      kind: "session_opened",
      id: "AAAAAAAAAAAAAAAAAAAAAA",
      secretHash: "hash",
      principal: "ana",
      client: "ünïcode",
      ttlMs: 30_000,
    },
    bytes: "AhZBQUFBQUFBQUFBQUFBQUFBQUFBQUFBBGhhc2gDYW5hCcO8bsOvY29kZbDqAQ==",
  },
  session_silent: { event: { kind: "session_silent", session: 3, sinceMs: 5_000_000_000 }, bytes: "AwOA5JfQEg==" },
  session_heard: { event: { kind: "session_heard", session: 3 }, bytes: "BAM=" },
  session_ended: {
    event: { kind: "session_ended", session: 3, why: "forced", reason: "stuck" },
    bytes: "BQMCBXN0dWNr",
  },
  acknowledged: { event: { kind: "acknowledged", session: 3, below: 300, settled: [7, 290] }, bytes: "BgOsAgIHogI=" },
  tombstones_dropped: { event: { kind: "tombstones_dropped", ids: ["a", "b"] }, bytes: "BwIBYQFi" },
  queued: {
    event: { kind: "queued", ...TERMS, parts: [PLAIN], arrivalMs: -2_000.5, waitMs: -1, priority: 9, upgradeOf: TOKEN },
    bytes: "EAPYBPn///8PAQlvcmRlcnMvNDIAAAAAAABCn8AAAAAAAADwvwkAACoAAAAABwAA",
  },
  granted: {
    event: {
      kind: "granted",
      ...TERMS,
      parts: [PLAIN, { name: "pool", mode: 2, take: 2, limit: 1_000 }],
      rollback: true,
      actor: "task",
    },
    bytes: "EQPYBPn///8PAglvcmRlcnMvNDIABHBvb2wCAugHAQR0YXNrAAAAAAAAAAA=",
  },
  wait_granted: { event: { kind: "wait_granted", wait: 16_384 }, bytes: "EoCAAQ==" },
  wait_ended: {
    event: { kind: "wait_ended", wait: 5, code: "deadlock", message: "a waits for b" },
    bytes: "EwUIZGVhZGxvY2sNYSB3YWl0cyBmb3IgYg==",
  },
  reentered: {
    event: { kind: "reentered", request: REQUEST, name: "a", token: TOKEN },
    bytes: "FAPYBPn///8PAWEqAAAAAAcAAA==",
  },
  released: {
    event: { kind: "released", request: KEPT, name: "a", token: TOKEN, undo: true },
    bytes: "FQMBBxlrZXB0LXJlcXVlc3QtMDEyMzQ1Njc4OWFigN3bAQFhKgAAAAAHAAAB",
  },
  downgraded: {
    event: { kind: "downgraded", request: REQUEST, name: "a", token: TOKEN },
    bytes: "FgPYBPn///8PAWEqAAAAAAcAAA==",
  },
  forced: {
    event: { kind: "forced", name: "a", token: TOKEN, by: "op", reason: "stuck" },
    bytes: "FwFhKgAAAAAHAAACb3AFc3R1Y2s=",
  },
  cancelled: { event: { kind: "cancelled", request: REQUEST, wait: 5 }, bytes: "GAPYBPn///8PBQ==" },
  file_created: { event: { kind: "file_created", name: "file_0" }, bytes: "IAZmaWxlXzA=" },
  appended: {
    event: {
      kind: "appended",
      request: REQUEST,
      file: "f",
      element: "guard",
      token: TOKEN,
      bytes: Uint8Array.of(1, 2, 255),
      checksum: 4_294_967_295,
    },
    bytes: "IQPYBPn///8PAWYFZ3VhcmQqAAAAAAcAAP////8PAwEC/w==",
  },
  noted: {
    event: { kind: "noted", request: KEPT, code: "busy", message: "held" },
    bytes: "KAMBBxlrZXB0LXJlcXVlc3QtMDEyMzQ1Njc4OWFigN3bAQRidXN5BGhlbGQ=",
  },
  kept_forgotten: {
    event: { kind: "kept_forgotten", keys: ["ana\nkept-request-0123456789ab"] },
    bytes: "KQEdYW5hCmtlcHQtcmVxdWVzdC0wMTIzNDU2Nzg5YWI=",
  },
  batch_opened: {
    event: {
      kind: "batch_opened",
      request: REQUEST,
      parts: [PLAIN, { name: "b", mode: 1, take: 1, limit: 0 }],
      waitMs: 250,
      rollback: true,
      actor: "",
    },
    bytes: "MAPYBPn///8PAglvcmRlcnMvNDIAAWIBAAAAAABAb0ABAA==",
  },
  batch_confirming: { event: { kind: "batch_confirming", batch: 6 }, bytes: "MQY=" },
  batch_granted: {
    event: { kind: "batch_granted", batch: 6, grants: [{ name: "a", token: TOKEN }] },
    bytes: "MgYBAWEqAAAAAAcAAA==",
  },
  batch_ended: {
    event: { kind: "batch_ended", batch: 6, code: "timeout", message: "late" },
    bytes: "MwYHdGltZW91dARsYXRl",
  },
  batch_cancelled: { event: { kind: "batch_cancelled", request: REQUEST, batch: 6 }, bytes: "NgPYBPn///8PBg==" },
  part_confirmed: { event: { kind: "part_confirmed", part: "batch.1.6.0" }, bytes: "NAtiYXRjaC4xLjYuMA==" },
  terms: {
    event: {
      kind: "terms",
      target: { wait: 16_384, name: "", token: 0n },
      terms: { never: true, compensation: { url: "https://a.example/undo", argument: "42", blocks: true } },
    },
    bytes: "QICAAQMWaHR0cHM6Ly9hLmV4YW1wbGUvdW5kbwI0MgE=",
  },
  warned: {
    event: {
      kind: "warned",
      target: { wait: 0, name: "orders/42", token: TOKEN },
      cause: {
        countdownMs: 10_000,
        enforce: true,
        score: 0.75,
        threshold: 0.5,
        parts: [{ name: "hold", value: 1, weight: 3 }],
        reason: "late",
        by: "",
      },
    },
    bytes: "QQAJb3JkZXJzLzQyKgAAAAAHAACQTgEAAAAAAADoPwAAAAAAAOA/AQRob2xkAAAAAAAA8D8AAAAAAAAIQARsYXRlAA==",
  },
  warning_acknowledged: {
    event: { kind: "warning_acknowledged", request: REQUEST, warning: 5, extensionMs: 300, refusal: "" },
    bytes: "QgPYBPn///8PBawCAA==",
  },
  warning_over: { event: { kind: "warning_over", warning: 5, why: "passed_over" }, bytes: "QwUB" },
  preempted: { event: { kind: "preempted", warning: 300 }, bytes: "RKwC" },
  compensated: { event: { kind: "compensated", compensation: 300, isDelivered: true }, bytes: "RawCAQ==" },
  policy_set: {
    event: {
      kind: "policy_set",
      prefix: "orders",
      row: {
        set: new Map([["policy", "enforce"]]),
        threshold: -1,
        by: "ana",
        reason: "trial",
        wallMs: 1_700_000_000_000,
      },
    },
    bytes: "RgZvcmRlcnMBBnBvbGljeQdlbmZvcmNlAAAAAAAA8L8DYW5hBXRyaWFsgNCV/7wx",
  },
  parts_fenced: { event: { kind: "parts_fenced", home: 3, number: 5368709122 }, bytes: "NwOCgICAFA==" },
  part_abandoned: { event: { kind: "part_abandoned", part: "batch.1.6.0" }, bytes: "NQtiYXRjaC4xLjYuMA==" },
};

export const GOLDEN: Readonly<Record<string, Golden<PartitionEvent>>> = {
  ...BY_KIND,
  "granted, one exclusive element": {
    event: { kind: "granted", ...TERMS, parts: [PLAIN] },
    bytes: "GQPYBPn///8PCW9yZGVycy80Mg==",
  },
  "appended, guarded by the element of its name": {
    event: {
      kind: "appended",
      request: REQUEST,
      file: "f",
      element: "f",
      token: TOKEN,
      bytes: Uint8Array.of(),
      checksum: 0,
    },
    bytes: "IQPYBPn///8PAWYAKgAAAAAHAAAAAA==",
  },
};
