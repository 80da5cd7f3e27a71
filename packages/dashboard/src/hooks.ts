// hooks.ts: the page's address, clock and live screen, as components use them.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Feed, type Shown } from "./feed/feed.ts";
import { type Route, routeOf } from "./route.ts";

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const look = (): void => setHash(location.hash);
    addEventListener("hashchange", look);
    return () => removeEventListener("hashchange", look);
  }, []);
  return useMemo(() => routeOf(hash), [hash]);
}

/** Monotonic milliseconds, anew each second; stands still while `isStill`: ages of what is lost are not known to grow. */
export function useNow(isStill = false): number {
  const [nowMs, setNow] = useState(() => performance.now());
  useEffect(() => {
    if (isStill) return;
    const timer = setInterval(() => setNow(performance.now()), 1_000);
    return () => clearInterval(timer);
  }, [isStill]);
  return nowMs;
}

export interface LiveScreen extends Shown {
  retry(): void;
}

/** @param query of GET /v1/live; a changed one keeps what is shown until the answer comes if its `screen` and `name` are the same */
export function useLive(query: string): LiveScreen {
  const [shown, setShown] = useState<Shown>({ link: { kind: "opening" }, parts: {} });
  const feed = useMemo(() => new Feed(setShown), []);
  const subject = useMemo(() => subjectOf(query), [query]);
  const [last, setLast] = useState("");
  useEffect(() => {
    feed.open(query, subject === last);
    setLast(subject);
  }, [query]);
  // Between a change of the route and the effect above, what is shown belongs to the screen before.
  const parts = subject === last ? shown.parts : {};
  return { link: shown.link, parts, retry: () => feed.retry() };
}

function subjectOf(query: string): string {
  const words = new URLSearchParams(query);
  return `${words.get("screen")} ${words.get("name") ?? ""}`;
}
