import { ERRORS as PROTOCOL_ERRORS, type ErrorCode as ProtocolErrorCode } from "@forelock/protocol";
import { describe, expect, expectTypeOf, test } from "vitest";
import type {
  ConnectOptions,
  ErrorCode,
  ForelockClient,
  Lock,
  SavedSession,
  Term,
  WatchEvent,
  WebLock,
} from "./index.ts";
import * as surface from "./index.ts";

describe("the public surface", () => {
  test("has these values and no others", () => {
    expect(Object.keys(surface).toSorted()).toEqual([
      "ERRORS",
      "ERROR_CODES",
      "ForelockError",
      "connect",
      "isErrorCode",
      "tokenGuard",
    ]);
    expect(surface.ERRORS).toBe(PROTOCOL_ERRORS);
  });

  test("has these types (checked by the compiler)", () => {
    expectTypeOf(surface.connect).parameter(0).toEqualTypeOf<string | ConnectOptions | undefined>();
    expectTypeOf(surface.connect).returns.resolves.toEqualTypeOf<ForelockClient>();
    expectTypeOf<ErrorCode>().toEqualTypeOf<ProtocolErrorCode>();
    expectTypeOf<ForelockClient["lock"]>().returns.resolves.toEqualTypeOf<Lock>();
    expectTypeOf<ForelockClient["tryLock"]>().returns.resolves.toEqualTypeOf<Lock | undefined>();
    expectTypeOf<ForelockClient["session"]>().toEqualTypeOf<SavedSession | undefined>();
    expectTypeOf<ForelockClient["watch"]>().returns.toEqualTypeOf<AsyncIterable<WatchEvent>>();
    expectTypeOf<Lock["token"]>().toEqualTypeOf<bigint>();
    expectTypeOf<Lock["signal"]>().toEqualTypeOf<AbortSignal>();
    expectTypeOf<Term["signal"]>().toEqualTypeOf<AbortSignal>();
    expectTypeOf<Lock>().toExtend<AsyncDisposable>();
    expectTypeOf<ForelockClient>().toExtend<AsyncDisposable>();
  });

  test("infers what callbacks give", () => {
    const inferred = async (client: ForelockClient) => {
      expectTypeOf(await client.withLock("a", () => 1)).toEqualTypeOf<number>();
      expectTypeOf(await client.withLock("a", { waitMs: 1 }, async () => "x")).toEqualTypeOf<string>();
      await client.locks.request("a", (lock) => expectTypeOf(lock).toEqualTypeOf<WebLock>());
      await client.locks.request("a", { ifAvailable: true }, (lock) =>
        expectTypeOf(lock).toEqualTypeOf<WebLock | null>(),
      );
      // @ts-expect-error An append needs a lock or a token.
      await client.file("a").append("x", {});
      // @ts-expect-error A try has no wait.
      await client.tryLock("a", { waitMs: 1 });
    };
    expect(inferred).toBeTypeOf("function");
  });
});
