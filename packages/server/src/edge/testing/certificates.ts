// certificates.ts: a throw-away authority and certificates for tests of TLS, made by the openssl command.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificates {
  readonly ca: string;
  readonly key: string;
  readonly cert: string;
}

/** Undefined where there is no openssl command. */
export function makeCertificates(san: string, days = 2): Certificates | undefined {
  const folder = mkdtempSync(join(tmpdir(), "forelock-tls-"));
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { stdio: "ignore" });
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"] as const;
  try {
    openssl(
      "req",
      "-x509",
      ...newKey,
      "-keyout",
      path("ca.key"),
      "-out",
      path("ca.crt"),
      "-days",
      "2",
      "-subj",
      "/CN=test authority",
    );
    openssl("req", ...newKey, "-keyout", path("leaf.key"), "-out", path("leaf.csr"), "-subj", "/CN=root");
    writeFileSync(path("ext"), `subjectAltName=${san}\n`);
    const signing = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial", "-extfile", path("ext")];
    openssl("x509", "-req", "-in", path("leaf.csr"), ...signing, "-out", path("leaf.crt"), "-days", String(days));
    const text = (name: string): string => readFileSync(path(name), "utf8");
    return { ca: text("ca.crt"), key: text("leaf.key"), cert: text("leaf.crt") };
  } catch {
    return undefined; // No openssl here: the caller says that its test is skipped.
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
