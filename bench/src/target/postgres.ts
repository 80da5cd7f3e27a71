// target/postgres.ts: advisory locks of PostgreSQL through the pg package. A lock belongs to its database connection, and one
// connection runs one statement at a time, so a client opens up to CONNECTIONS_MAX of them and spreads its locks over them.

import { execFileSync } from "node:child_process";
import { chownSync } from "node:fs";
import { accepts, freePort, startServer } from "../server-process.ts";
import { loadPackage, packageAbsence, packageVersion } from "./package.ts";
import { findProgram, programAbsence, programVersion } from "./program.ts";
import type { LockClient, Target } from "./target.ts";

const CONNECTIONS_MAX = 32;
const USERS = ["postgres", "nobody"];

interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: readonly string[];
}
interface Connection {
  connect(): Promise<void>;
  query(statement: Statement): Promise<unknown>;
  end(): Promise<void>;
}
interface Grant {
  readonly lane: Lane;
  readonly name: string;
}

export const postgres: Target = {
  name: "postgres",
  durable: false,
  how: "pg_advisory_lock through pg: locks live in memory, at most 32 database connections a client",
  absence: () =>
    programAbsence("postgres") ??
    programAbsence("initdb") ??
    packageAbsence(["pg"]) ??
    (process.getuid?.() === 0 && ordinaryUser() === undefined
      ? "it does not run as root, and there is no user postgres or nobody"
      : undefined),
  async start(folder) {
    const user = process.getuid?.() === 0 ? ordinaryUser() : undefined;
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    const [program, initdb] = [findProgram("postgres")!, findProgram("initdb")!]; // Not absent.
    const cluster = `${folder}/data`;
    execFileSync(initdb, ["-D", cluster, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-locale"], {
      cwd: folder,
      stdio: "pipe",
      timeout: 120_000,
      ...user,
    });
    const port = await freePort();
    const server = await startServer({
      command: program,
      words: ["-D", cluster, "-h", "127.0.0.1", "-p", String(port), "-k", folder, "-c", "max_connections=300"],
      folder,
      ...(user === undefined ? {} : { user }),
      isUp: async (printed) => printed.includes("ready to accept connections") && (await accepts(port)),
      upMsMax: 60_000,
    });
    const version = `pg ${packageVersion("pg")}, PostgreSQL ${programVersion(program)}`;
    return { endpoint: `127.0.0.1:${port}`, version, server };
  },
};

export async function openPostgresClient(endpoint: string, inFlight: number): Promise<LockClient> {
  const { Client } = loadPackage("pg") as { Client: new (options: object) => Connection }; // As its page documents.
  const options = { host: "127.0.0.1", port: Number(endpoint.split(":")[1]), user: "bench", database: "postgres" };
  const lanes = Array.from({ length: Math.min(inFlight, CONNECTIONS_MAX) }, () => new Lane(new Client(options)));
  await Promise.all(lanes.map((lane) => lane.connection.connect()));
  let turn = 0;
  return {
    async acquire(name): Promise<Grant> {
      turn = (turn + 1) % lanes.length;
      const lane = lanes[turn]!; // In range.
      await lane.query({ name: "lock", text: "select pg_advisory_lock(hashtextextended($1, 0))", values: [name] });
      return { lane, name };
    },
    release(grant) {
      const { lane, name } = grant as Grant; // It came from acquire.
      return lane.query({ name: "unlock", text: "select pg_advisory_unlock(hashtextextended($1, 0))", values: [name] });
    },
    close: async () => {
      await Promise.all(lanes.map((lane) => lane.connection.end()));
    },
  };
}

/** One database connection and the statements that wait for it: the package no longer wants to queue them itself. */
class Lane {
  readonly connection: Connection;
  readonly #waiting: { readonly statement: Statement; settle(outcome: Promise<unknown>): void }[] = [];
  #busy = false;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  query(statement: Statement): Promise<unknown> {
    return new Promise((resolve) => {
      this.#waiting.push({ statement, settle: resolve });
      if (!this.#busy) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const outcome = this.connection.query(next.statement);
      next.settle(outcome);
      await outcome.catch(() => undefined); // Whoever asked has it from settle.
    }
    this.#busy = false;
  }
}

function ordinaryUser(): { uid: number; gid: number } | undefined {
  for (const user of USERS) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync("id", [flag, user], { encoding: "utf8", stdio: "pipe" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No such user: try the next name.
    }
  }
  return undefined;
}
