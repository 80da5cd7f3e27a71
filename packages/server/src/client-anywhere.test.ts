// One body of scenarios of the client against one server, against one with three workers and against three nodes on a real etcd, these two
// while partitions move at random.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ForelockClient } from "@forelock/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemberKeys } from "./cluster/records.ts";
import { GrpcEtcd } from "./etcd/grpc.ts";
import { etcdVersion, type Members, startMembers } from "./etcd/testing/members.ts";
import { isPassing } from "./log/etcd/append.ts";
import { ClusterKeys } from "./log/etcd/keys.ts";
import { realClock } from "./real-time.ts";
import { serve } from "./serve.ts";
import { readSettings } from "./settings/read.ts";
import { People, type Place, SCENARIOS } from "./testing/client-scenarios.ts";

const PARTITIONS = 16;
const MOVE_MS = 60;
const WORKERS = 3;
const NODES = ["a", "b", "c"];

interface Running extends Place, AsyncDisposable {}

/** Servers in this process, each on a folder of its own. */
async function servers(settings: readonly Readonly<Record<string, unknown>>[]): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), "forelock-anywhere-"));
  const abort = new AbortController();
  const env = { FORELOCK_CLUSTER_SECRET: "the secret of this test's cluster" };
  const lines: string[] = [];
  const served = await Promise.all(
    settings.map((flags, index) => {
      const own = { port: "0", data: join(folder, String(index)), ...flags };
      const io = { log: (line: string) => lines.push(line), signal: abort.signal };
      return serve(readSettings({ flags: own, env, fileText: undefined }), io);
    }),
  );
  return {
    endpoints: served.map(({ address }) => address),
    [Symbol.asyncDispose]: async () => {
      abort.abort();
      await Promise.all(served.map(({ closed }) => closed));
      await rm(folder, { recursive: true });
    },
  };
}

/** Numbers that look random, the same each time. */
function* drawn(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

/** Pins partitions to nodes at random until it is disposed of. */
class Mover implements AsyncDisposable {
  readonly #etcd: GrpcEtcd;
  readonly #keys = new MemberKeys("forelock");
  readonly #draw = drawn(7);
  readonly #moving: Promise<void>;
  #isEnded = false;

  constructor(endpoints: readonly string[]) {
    this.#etcd = new GrpcEtcd({ endpoints, clock: realClock });
    this.#moving = this.#move();
  }

  /** How often partitions were given an epoch, in all. */
  async epochs(): Promise<number> {
    const { entries } = await this.#etcd.range(new ClusterKeys("forelock").epochs);
    return entries.reduce((sum, { version }) => sum + version, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    await this.#moving;
    await this.#etcd.close();
  }

  async #move(): Promise<void> {
    while (!this.#isEnded) {
      const partition = this.#draw.next().value % PARTITIONS;
      const node = NODES[this.#draw.next().value % NODES.length] ?? "";
      const put = { kind: "put", key: this.#keys.pin(partition), value: Buffer.from(node) } as const;
      // On a busy machine etcd may be late; then this move is none, or comes late.
      await this.#etcd.txn({ compare: [], success: [put] }).catch((error: unknown) => {
        if (!isPassing(error)) throw error;
      });
      await new Promise((resolve) => setTimeout(resolve, MOVE_MS));
    }
  }
}

function scenarios(place: () => Place): void {
  let number = 0;
  for (const [sentence, scenario] of Object.entries(SCENARIOS)) {
    const prefix = `s${++number}`;
    test(sentence, { timeout: 60_000 }, async () => {
      await using people = new People(place());
      await scenario(people, (text) => `${prefix}/${text}`);
    });
  }
}

describe("against one server", () => {
  let server: Running;
  beforeAll(async () => {
    server = await servers([{}]);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  scenarios(() => server);
});

/** Moves partitions between workers at random until it is disposed of. */
class WorkerMover implements AsyncDisposable {
  readonly #draw = drawn(11);
  readonly #client: ForelockClient;
  readonly #moving: Promise<void>;
  #isEnded = false;
  moves = 0;

  constructor(client: ForelockClient) {
    this.#client = client;
    this.#moving = this.#move();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    await this.#moving;
    await this.#client.close();
  }

  async #move(): Promise<void> {
    while (!this.#isEnded) {
      const partition = this.#draw.next().value % PARTITIONS;
      const node = `worker-${this.#draw.next().value % WORKERS}`;
      const change = { action: "move", partition, node } as const;
      this.moves += (await this.#client.changeCluster(change, { reason: "a test" })).partitions;
      await new Promise((resolve) => setTimeout(resolve, MOVE_MS));
    }
  }
}

describe("against a server with three workers while partitions move at random", () => {
  let server: Running;
  let mover: WorkerMover;
  beforeAll(async () => {
    server = await servers([{ workers: String(WORKERS), partitions: String(PARTITIONS) }]);
    mover = new WorkerMover(await connect({ endpoints: [...server.endpoints] }));
  });
  afterAll(async () => {
    await mover[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    expect(mover.moves).toBeGreaterThan(PARTITIONS); // Else nothing was shown.
  });
  scenarios(() => server);
});

describe.skipIf(etcdVersion() === undefined)("against three nodes while partitions move at random", () => {
  let members: Members;
  let nodes: Running;
  let mover: Mover;
  let epochs: number;
  beforeAll(async () => {
    members = await startMembers({ members: 1, flags: ["--unsafe-no-fsync"] });
    const common = { clusterEtcd: members.endpoints.join(","), clusterReplicas: "3", partitions: String(PARTITIONS) };
    nodes = await servers(NODES.map((id) => ({ ...common, clusterNodeId: id })));
    mover = new Mover(members.endpoints);
    epochs = await mover.epochs();
  });
  afterAll(async () => {
    const moves = (await mover.epochs()) - epochs;
    await mover[Symbol.asyncDispose]();
    await nodes[Symbol.asyncDispose]();
    await members[Symbol.asyncDispose]();
    expect(moves).toBeGreaterThan(PARTITIONS); // Else nothing was shown.
  });
  scenarios(() => nodes);
});
