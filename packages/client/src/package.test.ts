import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { buildClient } from "./testing/build.ts";
import { Scene } from "./testing/scene.ts";

const run = promisify(execFile);
const bundle = new URL("../dist/index.js", import.meta.url).pathname;

describe("the package", () => {
  beforeAll(buildClient);

  test("works from `require`, locks, and lets the process end once it is closed", async () => {
    await using scene = await Scene.open();
    const script = `
      const { connect } = require(${JSON.stringify(bundle)});
      (async () => {
        const client = await connect(${JSON.stringify(scene.server.endpoint)});
        const lock = await client.lock("a");
        console.log(typeof lock.token, lock.held);
        await client.close();
      })();`;
    const { stdout } = await run(process.execPath, ["--no-warnings", "-e", script], { timeout: 20_000 });
    expect(stdout).toBe("bigint true\n");
    expect(scene.server.only.gone).toBe("session_closed");
  });

  test("needs nothing but Node", async () => {
    const script = `import { readFileSync } from "node:fs";
      const imports = readFileSync(${JSON.stringify(bundle)}, "utf8").matchAll(/^import .* from "([^"]+)"/gm);
      console.log([...imports].map(([, name]) => name).filter((name) => !name.startsWith("node:")).length);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
    expect(stdout).toBe("0\n");
  });
});
