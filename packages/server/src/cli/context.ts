// context.ts: what every command starts from: where to write, in which form, and how to reach the server.

import { parseDurationMs } from "./duration.ts";
import type { CliIo } from "./io.ts";
import type { Output } from "./output.ts";
import { toJson } from "./quantity.ts";
import type { Remote, RemoteOptions, Target, TargetTls } from "./remote.ts";
import { UsageError } from "./usage-error.ts";

export const DEFAULT_PORT = 7420;
export const DEFAULT_ENDPOINT = `127.0.0.1:${DEFAULT_PORT}`;

/** Options that every command takes; texts as given. */
export interface CommonOptions {
  readonly json?: true;
  readonly endpoint?: string;
  readonly tokenFile?: string;
  readonly tls?: true;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly connectTimeout?: string;
}

export class Context {
  readonly io: CliIo;
  readonly out: Output;
  /** Progress and diagnostics. */
  readonly err: Output;
  readonly json: boolean;
  readonly #options: CommonOptions;

  constructor(io: CliIo, out: Output, err: Output, options: CommonOptions) {
    this.io = io;
    this.out = out;
    this.err = err;
    this.json = options.json === true;
    this.#options = options;
  }

  /** All options are checked before anything is sent. @throws UsageError */
  async target(): Promise<Target> {
    const options = this.#options;
    return {
      endpoint: parseEndpoint(options.endpoint ?? this.io.env["FORELOCK_ENDPOINT"] ?? DEFAULT_ENDPOINT),
      connectMs: parseDurationMs("--connect-timeout", options.connectTimeout ?? "2s"),
      token: await this.#token(),
      tls: await this.#tls(),
      client: `forelock-cli@${this.io.host}`,
    };
  }

  async connect(options: RemoteOptions): Promise<Remote> {
    return this.io.connect(await this.target(), options);
  }

  /** One JSON document on a line. */
  async printJson(message: unknown): Promise<void> {
    await this.out.line(toJson(message));
  }

  async #token(): Promise<string | undefined> {
    const file = this.#options.tokenFile;
    const token = file === undefined ? this.io.env["FORELOCK_AUTH_TOKEN"] : await this.#read("--token-file", file);
    return token === undefined || token.trim() === "" ? undefined : token.trim();
  }

  async #tls(): Promise<TargetTls | undefined> {
    const { tls, ca, cert, key } = this.#options;
    if ((cert === undefined) !== (key === undefined)) {
      throw new UsageError("--cert and --key go together: a certificate and its private key, both PEM files.");
    }
    if (tls === undefined && ca === undefined && cert === undefined) return undefined;
    return {
      ...(ca !== undefined && { ca: await this.#read("--ca", ca) }),
      ...(cert !== undefined && { cert: await this.#read("--cert", cert) }),
      ...(key !== undefined && { key: await this.#read("--key", key) }),
    };
  }

  async #read(field: string, path: string): Promise<string> {
    try {
      return await this.io.readFile(path);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? String(cause); // Cast: readFile fails with errno errors.
      throw new UsageError(`${field} is "${path}": the file cannot be read (${code}).`, { cause });
    }
  }
}

/**
 * `host:port`, `[ipv6]:port`, or a host alone, which means port 7420.
 * @throws UsageError
 */
export function parseEndpoint(text: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new UsageError(`--endpoint is "${text}": give HOST:PORT, as in 127.0.0.1:7420 or [::1]:7420.`);
  }
  return `${match[1]}:${port}`;
}
