// main.ts: `npm run mutation`: plants each bug of the table in a copy of the sources, one at a time, and runs the tests that must
// turn red. Exits 1 when one stays green, does not load, or does not fit the source any more.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { copyRepository } from "./copy.ts";
import { type Mutation, mutate } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";
import { runTests, type TestOutcome } from "./run-tests.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const USAGE = `Usage: npm run mutation -- [--only NAME,NAME] [--after-tests] [--list]

Plants known bugs, one at a time, in a copy of the sources, and checks that the tests notice each.
--after-tests   all tests have just passed on these sources: they are not run without a bug first
`;

async function gate(chosen: readonly Mutation[], isTested: boolean): Promise<number> {
  const copy = copyRepository(ROOT);
  let failures = 0;
  try {
    const sets = isTested ? [] : chosen.map((mutation) => mutation.tests.join(" "));
    for (const tests of new Set(sets)) {
      const sound = await runTests(copy.folder, tests.split(" "));
      if (sound.kind === "green") continue;
      console.log(`without any bug, ${tests} is ${describe(sound)}: mend that first`);
      return 1;
    }
    for (const mutation of chosen) {
      const startedMs = performance.now();
      const outcome = await plantAndRun(copy.folder, mutation);
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
      const isNoticed = outcome.kind === "red" || outcome.kind === "hung";
      if (!isNoticed) failures += 1;
      console.log(
        `${isNoticed ? "noticed" : "MISSED "}  ${mutation.name.padEnd(30)} ${seconds.padStart(5)} s  ${describe(outcome)}`,
      );
    }
  } finally {
    copy.remove();
  }
  console.log(`${chosen.length - failures} of ${chosen.length} planted bugs were noticed`);
  return failures === 0 ? 0 : 1;
}

async function plantAndRun(folder: string, mutation: Mutation): Promise<TestOutcome> {
  const path = join(folder, mutation.file);
  const source = readFileSync(path, "utf8");
  writeFileSync(path, mutate(source, mutation));
  try {
    return await runTests(folder, mutation.tests);
  } finally {
    writeFileSync(path, source);
  }
}

function describe(outcome: TestOutcome): string {
  switch (outcome.kind) {
    case "green":
      return `green, ${outcome.tests} tests`;
    case "red":
      return `red: ${outcome.first}`;
    case "hung":
      return "hung";
    case "broken":
      return `broken: ${outcome.why}`;
  }
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    "after-tests": { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
if (values.list) {
  for (const { name, breaks, file } of MUTATIONS) console.log(`${name.padEnd(30)} ${breaks} (${file})`);
  process.exit(0);
}
const only = values.only?.split(",");
const unknown = only?.filter((name) => !MUTATIONS.some((mutation) => mutation.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`no such mutation: ${unknown.join(", ")}\n\n${USAGE}`);
  process.exit(2);
}
const chosen = MUTATIONS.filter(({ name }) => only === undefined || only.includes(name));
process.exit(await gate(chosen, values["after-tests"]));
