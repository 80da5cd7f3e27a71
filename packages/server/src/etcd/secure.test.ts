import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { makeCertificates } from "../edge/testing/certificates.ts";
import { realClock } from "../real-time.ts";
import { kindOf, putOne } from "./contract.ts";
import { GrpcEtcd } from "./grpc.ts";
import { etcdVersion, startMembers } from "./testing/members.ts";

const hasControl = spawnSync("etcdctl", ["version"]).status === 0;
const certificates = etcdVersion() === undefined ? undefined : makeCertificates("IP:127.0.0.1,DNS:etcd.test");
if (!hasControl) process.stdout.write("The program etcdctl is missing: the test of users and passwords is skipped.\n");
if (certificates === undefined) process.stdout.write("Without etcd and openssl the test of TLS is skipped.\n");

describe.skipIf(certificates === undefined)("members that speak TLS only", () => {
  const folder = mkdtempSync(join(tmpdir(), "forelock-etcd-tls-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("are reached with their authority and a certificate of the client's own, and not without", async () => {
    const { ca, key, cert } = certificates ?? { ca: "", key: "", cert: "" };
    const path = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const files = ["--cert-file", path("cert", cert), "--key-file", path("key", key)];
    const trusted = ["--client-cert-auth", "--trusted-ca-file", path("ca", ca)];
    const own = { chain: Buffer.from(cert), key: Buffer.from(key) };
    const tls = { ca: Buffer.from(ca), certificate: own };
    await using members = await startMembers({ members: 1, flags: [...files, ...trusted, "--unsafe-no-fsync"], tls });
    const etcd = new GrpcEtcd({ endpoints: members.endpoints, clock: realClock, tls });
    expect(await kindOf(putOne(etcd, "/a"))).toBe("none");
    const named = new GrpcEtcd({
      endpoints: members.endpoints,
      clock: realClock,
      tls: { ...tls, serverName: "etcd.test" },
    });
    expect((await named.range({ key: "/a" })).count).toBe(1);
    const stranger = new GrpcEtcd({
      endpoints: members.endpoints,
      clock: realClock,
      tls: { ca: Buffer.from(ca) },
      deadlineMs: 500,
    });
    expect(await kindOf(stranger.range({ key: "/a" }))).toBe("unavailable");
    await Promise.all([etcd.close(), named.close(), stranger.close()]);
  });
});

describe.skipIf(etcdVersion() === undefined || !hasControl)("members that ask for a user", () => {
  test("take requests with the right password, and those that its role allows; a token that ended is renewed", async () => {
    const tokens = ["--auth-token", "simple", "--auth-token-ttl", "1", "--unsafe-no-fsync"];
    await using members = await startMembers({ members: 1, flags: tokens });
    const control = (...args: readonly string[]): void => {
      const endpoints = ["--endpoints", members.endpoints.join(",")];
      execFileSync("etcdctl", [...endpoints, ...args], { env: { ...process.env, ETCDCTL_API: "3" }, stdio: "ignore" });
    };
    control("user", "add", "root:secret");
    control("user", "grant-role", "root", "root");
    control("user", "add", "forelock:word");
    control("role", "add", "forelock");
    control("role", "grant-permission", "--prefix=true", "forelock", "readwrite", "/forelock/");
    control("user", "grant-role", "forelock", "forelock");
    control("auth", "enable");
    const client = (password: string) =>
      new GrpcEtcd({ endpoints: members.endpoints, clock: realClock, user: { name: "forelock", password } });
    const [etcd, wrong] = [client("word"), client("other")];
    const nobody = new GrpcEtcd({ endpoints: members.endpoints, clock: realClock });
    expect(await kindOf(putOne(etcd, "/forelock/a"))).toBe("none");
    expect(await kindOf(putOne(etcd, "/elsewhere"))).toBe("refused");
    expect(await kindOf(putOne(wrong, "/forelock/a"))).toBe("refused");
    expect(await kindOf(putOne(nobody, "/forelock/a"))).toBe("refused");
    const ended = new GrpcEtcd({
      endpoints: members.endpoints,
      clock: realClock,
      user: { name: "root", password: "secret" },
    });
    expect((await ended.status()).length).toBe(1);
    for (let turn = 0; turn < 6; turn++) {
      await new Promise<void>((resolve) => realClock.after(700, () => resolve()));
      expect(await kindOf(putOne(turn % 2 === 0 ? ended : etcd, "/forelock/a"))).toBe("none");
    }
    await Promise.all([etcd.close(), wrong.close(), nobody.close(), ended.close()]);
  });
});
