import { expect, test } from "vitest";
import { tokenGuard } from "./guard.ts";

test("a token older than one seen is refused, the same one and newer ones pass", () => {
  const guard = tokenGuard();
  guard.check("invoices", 7n);
  guard.check("invoices", 7n);
  guard.check("invoices", 9n);
  expect(() => guard.check("invoices", 8n)).toThrow(expect.objectContaining({ code: "stale_token" }));
  expect(guard.latest("invoices")).toBe(9n);
  guard.check("orders", 1n);
});

test("at its limit new resources are refused, known ones still pass, and nothing is forgotten by itself", () => {
  const guard = tokenGuard({ resourcesMax: 1 });
  guard.check("a", 5n);
  expect(() => guard.check("b", 6n)).toThrow(expect.objectContaining({ code: "overloaded" }));
  expect(() => guard.check("a", 4n)).toThrow(expect.objectContaining({ code: "stale_token" }));
  guard.forget("a");
  guard.check("b", 6n);
});
