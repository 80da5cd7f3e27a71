import { expect, test } from "vitest";
import type { Etcd, MemberAlarm, MemberStatus } from "../../etcd/etcd.ts";
import { AdmissionControl } from "./admission.ts";
import { Scene } from "./testing/scene.ts";

const MB = 1_048_576;

/** Members with these sizes in MB; quota 1,000 MB. */
function control(): {
  set(file: number, inUse: number, alarms?: readonly MemberAlarm[]): Promise<string>;
  readonly why: () => string;
} {
  let members: readonly Partial<MemberStatus>[] = [];
  let alarms: readonly MemberAlarm[] = [];
  // Of the interface only what is asked here.
  const etcd = { status: async () => members, alarms: async () => alarms } as unknown as Etcd;
  const admission = new AdmissionControl({ etcd, quotaBytes: 1_000 * MB });
  return {
    set: async (file, inUse, raised = []) => {
      members = [
        { dbBytes: 10 * MB, dbInUseBytes: 5 * MB, quotaBytes: 0 },
        { dbBytes: file * MB, dbInUseBytes: inUse * MB, quotaBytes: 0 },
      ];
      alarms = raised;
      await admission.refresh();
      return admission.admission();
    },
    why: () => admission.state.why ?? "",
  };
}

test("growth is refused from three quarters in use, and taken again below 65 %", async () => {
  const { set, why } = control();
  expect(await set(740, 740)).toBe("open");
  expect(await set(760, 760)).toBe("growth_refused");
  expect(why()).toContain("76 % of etcd's quota");
  expect(await set(760, 700)).toBe("growth_refused");
  expect(await set(760, 640)).toBe("open");
  expect(await set(760, 740)).toBe("open");
});

test("a file that cannot grow counts by what is free inside it", async () => {
  const { set, why } = control();
  expect(await set(950, 500)).toBe("open");
  expect(await set(950, 700)).toBe("growth_refused");
  expect(why()).toContain("95 % of its quota");
  expect(await set(950, 600)).toBe("growth_refused");
  expect(await set(950, 500)).toBe("open");
});

test("an alarm of a member refuses growth whatever the sizes", async () => {
  const { set } = control();
  expect(await set(10, 10, [{ memberId: "1", kind: "no_space" }])).toBe("growth_refused");
  expect(await set(10, 10)).toBe("open");
});

test("with a store that fills, growth ends well before the quota, and what is left can still be written", async () => {
  const scene = new Scene(1_000_000);
  const { etcd, log } = await scene.node("a");
  const admission = new AdmissionControl({ etcd, quotaBytes: 2_000_000 }); // The member tells the smaller one.
  let sequence = 0;
  const events = new Uint8Array(10_000);
  while (admission.admission() === "open") {
    sequence += 1;
    await log.append({ partition: 0, epoch: 1, sequence, elapsedMs: 0, events });
    await admission.refresh();
  }
  expect(sequence * events.byteLength).toBeLessThan(800_000);
  expect(admission.state.reservedBytes).toBe(250_000);
  for (let more = 0; more < 100; more++) {
    sequence += 1;
    await log.append({ partition: 0, epoch: 1, sequence, elapsedMs: 0, events: new Uint8Array(100) });
  }
  const state = new Uint8Array(10);
  await log.saveSnapshots([{ partition: 0, epoch: 1, sequence, state }]);
  await log.saveSnapshots([{ partition: 0, epoch: 1, sequence, state }]);
  await log.truncate();
  await log.compactHistory();
  await log.append({ partition: 0, epoch: 1, sequence: sequence + 1, elapsedMs: 0, events: state });
  await log.compactHistory();
  expect((await admission.refresh()).admission).toBe("open");
});
