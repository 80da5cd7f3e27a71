import { expect, test } from "vitest";
import { allowedBy, allowProblem } from "./allow.ts";

const allows = allowedBy(["https://shop.example/hooks/", "http://127.0.0.1:8080/undo", "https://any.example"]);

test.each([
  "https://shop.example/hooks/",
  "https://shop.example/hooks/orders?id=4#x",
  "https://shop.example:443/hooks/orders",
  "HTTPS://SHOP.example/hooks/orders",
  "https://shop.example/other/../hooks/orders",
  "http://127.0.0.1:8080/undo",
  "http://127.0.0.1:8080/undo/42",
  "https://any.example/wherever",
])("%s is allowed", (url) => {
  expect(allows(url)).toBe(true);
});

test.each([
  "https://shop.example/hooks",
  "https://shop.example/hookshop",
  "https://shop.example/hooks/../admin",
  "https://shop.example/hooks/%2e%2e/admin",
  "https://shop.example/hooks/..%2fadmin",
  "https://shop.example/hooks/..%5Cadmin",
  "http://shop.example/hooks/",
  "https://shop.example:8443/hooks/",
  "https://shop.example.evil/hooks/",
  "https://shop.example@evil.example/hooks/",
  "https://user:secret@shop.example/hooks/",
  "http://127.0.0.1:8080/undone",
  "http://127.0.0.1/undo",
  "ftp://any.example/",
  "file:///etc/passwd",
  "any.example",
  "",
])("%s is not", (url) => {
  expect(allows(url)).toBe(false);
});

test("an empty list allows nothing", () => {
  expect(allowedBy([])("https://shop.example/")).toBe(false);
});

test.each([
  ["shop.example", "no http or https URL"],
  ["https://user:secret@shop.example/", "without user and password"],
  ["https://shop.example/hooks?key=1", "query or a fragment"],
  ["ftp://shop.example/", "no http or https URL"],
])("the entry %s is complained about", (entry, complaint) => {
  expect(allowProblem(entry)).toContain(complaint);
});

test("a sound entry is not complained about", () => {
  expect(allowProblem("https://shop.example:8443/hooks/")).toBeUndefined();
});
