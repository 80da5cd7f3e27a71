import { expect, test } from "vitest";
import { hashOf, type Route, routeOf } from "./route.ts";

test.each<Route>([
  { screen: "now" },
  { screen: "sessions" },
  { screen: "prediction" },
  { screen: "settings" },
  { screen: "cluster" },
  { screen: "files" },
  { screen: "lock", name: "orders/42" },
  { screen: "lock", name: "{t}/ä 100% #1" },
])("the address of %o leads back to it", (route) => {
  expect(routeOf(hashOf(route))).toEqual(route);
});

test("an address that names nothing is the first screen, and a bad escape is taken as it stands", () => {
  expect(routeOf("")).toEqual({ screen: "now" });
  expect(routeOf("#/nothing")).toEqual({ screen: "now" });
  expect(routeOf("#/lock/")).toEqual({ screen: "now" });
  expect(routeOf("#/lock/100%")).toEqual({ screen: "lock", name: "100%" });
});
