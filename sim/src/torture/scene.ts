// scene.ts: one server, its disk and its proxies: what the faults act on. The server's port changes with each start; clients
// know the proxies only.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../proxy/clock.ts";
import { TcpProxy } from "../proxy/proxy.ts";
import { forkRandom, type Random } from "../proxy/random.ts";
import { imagePlace, type Place, plainPlace } from "./disk/place.ts";
import { DiskShim } from "./disk/shim.ts";
import { FILES } from "./elements.ts";
import type { Place as TorturePlace } from "./play.ts";
import { readWire } from "./reader.ts";
import { ServerProcess } from "./server-process.ts";
import { onLoopback, type Way } from "./wire.ts";

export interface SceneOptions {
  readonly seed: number;
  readonly clock: Clock;
  readonly serverScript: string;
  /** Whether to put the data on an image, so that its power can be cut and its space taken. */
  readonly wantsImage: boolean;
  readonly wantsShim: boolean;
  readonly log: (line: string) => void;
}

export type Health =
  | { readonly kind: "works" }
  | { readonly kind: "stopped"; readonly why: string }
  | { readonly kind: "silent" };

const PROXIES = 3;
/** The least that the settings allow: so that segments end, snapshots are taken and the log is cut within a run. */
const SMALL_LOG = ["--log-segment-bytes", "4MiB", "--log-snapshot-bytes", "16MiB"] as const;

export class Scene implements TorturePlace {
  readonly server: ServerProcess;
  readonly proxies: readonly TcpProxy[];
  readonly place: Place;
  readonly shim: DiskShim | undefined;
  /** Why something is missing, for the lines about skipped faults. */
  readonly missing: ReadonlyMap<"image" | "shim", string>;
  readonly starts: number[] = [];
  readonly #options: SceneOptions;
  readonly #folder: string;
  #port: number | undefined;

  private constructor(options: SceneOptions, folder: string, proxies: readonly TcpProxy[]) {
    this.#options = options;
    this.#folder = folder;
    this.proxies = proxies;
    this.server = new ServerProcess(options.clock);
    const missing = new Map<"image" | "shim", string>();
    const image = options.wantsImage ? imagePlace(folder) : "not asked for";
    if (typeof image === "string") missing.set("image", image);
    this.place = typeof image === "string" ? plainPlace(folder) : image;
    const shim = options.wantsShim ? DiskShim.build(folder, this.place.dataFolder) : "not asked for";
    if (typeof shim === "string") missing.set("shim", shim);
    this.shim = typeof shim === "string" ? undefined : shim;
    this.missing = missing;
  }

  static async open(options: SceneOptions): Promise<Scene> {
    const folder = mkdtempSync(join(tmpdir(), "forelock-torture-"));
    const { clock, seed } = options;
    const proxies: TcpProxy[] = [];
    for (let index = 0; index < PROXIES; index += 1) {
      proxies.push(await TcpProxy.open({ clock, random: forkRandom(seed, `proxy ${index}`) }));
    }
    return new Scene(options, folder, proxies);
  }

  /** Of the server itself, beside the proxies. */
  get port(): number | undefined {
    return this.#port;
  }

  get way(): Way {
    return () => onLoopback(this.#port ?? 0);
  }

  wayOf(index: number, _random: Random): Way {
    const { port } = this.#proxyOf(index);
    return () => onLoopback(port);
  }

  endpointsOf(index: number): readonly string[] {
    return [`127.0.0.1:${this.#proxyOf(index).port}`];
  }

  get lastWords(): string {
    return this.server.output;
  }

  /** @throws when the server does not come up: that is a failure of the run */
  async start(): Promise<void> {
    const { serverScript, log } = this.#options;
    const { port, pid, startMs } = await this.server.serve({
      script: serverScript,
      dataFolder: this.place.dataFolder,
      environment: this.shim?.environment ?? {},
      flags: SMALL_LOG,
    });
    this.#port = port;
    this.starts.push(startMs);
    for (const proxy of this.proxies) proxy.targetPort = port;
    log(`server ${pid} listens after ${Math.round(startMs)} ms`);
  }

  async settle(): Promise<readonly string[]> {
    return this.#port === undefined ? ["the server is down at the end"] : [];
  }

  /** Kills what is left of the server and starts it again, the disk being honest. */
  async restart(): Promise<void> {
    this.shim?.set("honest");
    await this.down();
    await this.start();
  }

  async down(): Promise<void> {
    this.#port = undefined;
    for (const proxy of this.proxies) proxy.targetPort = undefined;
    await this.server.kill();
  }

  /** Whether the server works, and if not, what it says of it. `silent`: nobody answers in time. */
  async health(): Promise<Health> {
    if (this.#port === undefined) return { kind: "silent" };
    const body = await readWire(this.way(), { $case: "getStatus", value: {} }, this.#options.clock);
    if (body?.$case === "error") return { kind: "stopped", why: body.value.code };
    if (body?.$case !== "getStatus") return { kind: "silent" };
    if (body.value.stopped !== "") return { kind: "stopped", why: body.value.stopped };
    // Contents rest in a store of their own, which can stop by itself.
    const value = { file: FILES[0] ?? "", index: 0, recordsMax: 1, version: 0 };
    const read = await readWire(this.way(), { $case: "readRecords", value }, this.#options.clock);
    const why = read?.$case === "error" ? read.value.code : "";
    return why === "bulk_stopped" || why === "bulk_damaged" ? { kind: "stopped", why } : { kind: "works" };
  }

  async close(): Promise<void> {
    await this.server.kill();
    for (const proxy of this.proxies) await proxy.close();
    this.shim?.close();
    this.place.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #proxyOf(index: number): TcpProxy {
    const proxy = this.proxies[index % this.proxies.length];
    if (proxy === undefined) throw new Error("a scene has proxies");
    return proxy;
  }
}
