// warn.ts: `forelock warn NAME`: an operator warns holders as a forecast would: they are asked to release in time.
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import { DURATION_FORM, parseDurationMs } from "./duration.ts";
import { parseToken, plural, printable } from "./quantity.ts";
import { parseReason, reasonOption } from "./reason.ts";
import { UsageError } from "./usage-error.ts";

interface WarnOptions {
  readonly reason?: string;
  readonly token?: string;
  readonly countdown?: string;
}

/** What the wire takes. */
const COUNTDOWN_MS_MIN = 100;
const COUNTDOWN_MS_MAX = 3_600_000;

export function warnCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "warn NAME",
    summary: "As an operator, warn the holders of a lock: they are asked to release it in time",
    examples: [
      "forelock warn orders/42 --reason 'deploy at noon'",
      "forelock warn orders/42 --token 1099511627790 --countdown 30s --reason 'ticket 311'",
    ],
    notes: [
      "Whether the release is forced at the end of the countdown is what the policy of the lock says: see `forelock policy`. The reason is kept in the log and told to the holders.",
    ],
  })
    .argument("<name>")
    .addOption(reasonOption())
    .addOption(option("--token <token>", "Only the grant with this token", { default: "all holders" }))
    .addOption(option("--countdown <duration>", "Time to release, 100ms to 1h", { default: "what the policy says" }));
  return onRun<WarnOptions>(command, invocation, async (context, options, [name = ""]) => {
    const reason = parseReason(options.reason);
    const token = options.token === undefined ? undefined : parseToken("--token", options.token);
    const countdownMs = options.countdown === undefined ? undefined : parseCountdownMs(options.countdown);
    await using remote = await context.connect({ session: "none" });
    const warnings = await remote.warn({ name, token, reason, countdownMs });
    if (context.json) await context.printJson({ warnings });
    else {
      const names = warnings.length === 0 ? "" : ` (warning ${warnings.map(printable).join(", ")})`;
      await context.out.line(`${printable(name)}: warned ${plural(warnings.length, "holder")}${names}`);
    }
    return 0;
  });
}

function parseCountdownMs(text: string): number {
  const ms = parseDurationMs("--countdown", text);
  if (ms < COUNTDOWN_MS_MIN || ms > COUNTDOWN_MS_MAX)
    throw new UsageError(`--countdown is "${text}": from 100ms to 1h, as ${DURATION_FORM}.`);
  return ms;
}
