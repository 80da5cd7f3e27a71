// app.tsx: the frame around every screen: name, navigation, connection, theme, sign-in. Not here: what a screen shows (screens/).
import type { GetPredictionReply, SessionInfo, StatusReply, WhyReply } from "@forelock/protocol";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Link } from "./feed/feed.ts";
import type { Parts } from "./feed/screen.ts";
import { age, bytes, count } from "./format/format.ts";
import { useLive, useNow, useRoute } from "./hooks.ts";
import { isDemo, isDemoClient } from "./lock/lock-row.ts";
import { SignIn } from "./parts/sign-in.tsx";
import { TellContext, Told } from "./parts/tell.tsx";
import { ThemeChoice } from "./parts/theme.tsx";
import { hashOf, type Route, type ScreenName, TITLES } from "./route.ts";
import { ClusterScreen } from "./screens/cluster.tsx";
import { FilesScreen } from "./screens/files.tsx";
import { LockScreen } from "./screens/lock.tsx";
import { NowScreen } from "./screens/now.tsx";
import { PredictionScreen } from "./screens/prediction.tsx";
import { SessionsScreen } from "./screens/sessions.tsx";
import { SettingsScreen } from "./screens/settings.tsx";
import type { Json } from "./wire/json.ts";

const TABS: readonly Exclude<ScreenName, "lock">[] = ["now", "sessions", "prediction", "settings", "cluster", "files"];

export function App(): JSX.Element {
  const route = useRoute();
  const [prefix, setPrefix] = useState("");
  const live = useLive(queryOf(route, prefix));
  const isLost = live.link.kind === "lost";
  const nowMs = useNow(isLost);
  const main = useRef<HTMLElement>(null);
  const title = route.screen === "lock" ? route.name : TITLES[route.screen];
  useEffect(() => {
    document.title = `${title} · Forelock`;
  }, [title]);
  const [told, tell] = useState("");
  const hasDemo = useDemo(live.parts);
  return (
    <TellContext.Provider value={tell}>
      {/* A button, not a link: the address behind the # is taken by the screens. */}
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <header class="top">
        <a class="brand" href={hashOf({ screen: "now" })} aria-label="Forelock, to the start">
          <Mark /> Forelock
        </a>
        <nav aria-label="Screens">
          <ul class="tabs">
            {TABS.map((screen) => (
              <li key={screen}>
                <a href={hashOf({ screen })} aria-current={isUnder(route, screen) ? "page" : undefined}>
                  {TITLES[screen]}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <LinkState link={live.link} />
        <ThemeChoice />
      </header>
      {live.link.kind === "signed_out" && <SignIn why={live.link.why} onToken={() => live.retry()} />}
      {live.link.kind === "lost" && (
        <p class="banner bad" role="alert">
          Connection lost at {new Date(live.link.sinceMs).toLocaleTimeString()}. What you see is from then. Trying again
          …
        </p>
      )}
      {hasDemo && (
        <p class="banner demo">
          <strong>Demo load.</strong> What is named demo/… is made up by this server, to have something to show.
        </p>
      )}
      <Facts parts={live.parts} nowMs={nowMs} />
      <main ref={main} tabIndex={-1} class={isLost ? "stale" : ""} aria-label={title}>
        <Screen route={route} parts={live.parts} nowMs={nowMs} prefix={prefix} onPrefix={setPrefix} />
      </main>
      <Told text={told} onClose={() => tell("")} />
    </TellContext.Provider>
  );
}

interface ScreenProps {
  readonly route: Route;
  readonly parts: Parts;
  readonly nowMs: number;
  readonly prefix: string;
  readonly onPrefix: (prefix: string) => void;
}

function Screen({ route, ...rest }: ScreenProps): JSX.Element {
  switch (route.screen) {
    case "now":
      return <NowScreen {...rest} />;
    case "lock":
      return <LockScreen key={route.name} name={route.name} {...rest} />;
    case "sessions":
      return <SessionsScreen {...rest} />;
    case "prediction":
      return <PredictionScreen {...rest} />;
    case "settings":
      return <SettingsScreen {...rest} />;
    case "cluster":
      return <ClusterScreen {...rest} />;
    case "files":
      return <FilesScreen {...rest} />;
  }
}

/** Whether anything of the demo has been seen since the page was opened. */
function useDemo(parts: Parts): boolean {
  const [isSeen, setSeen] = useState(false);
  const isThere = isSeen || showsDemo(parts);
  useEffect(() => {
    if (isThere) setSeen(true);
  }, [isThere]);
  return isThere;
}

function showsDemo({ locks, sessions, why, prediction }: Parts): boolean {
  if (locks?.kind === "list") return [...locks.rows.keys()].some(isDemo);
  if (why?.kind === "value") return isDemo((why.row.json as Json<WhyReply>).name ?? ""); // The part `why` is this.
  if (prediction?.kind === "value")
    return ((prediction.row.json as Json<GetPredictionReply>).decisions ?? []).some(({ name = "" }) => isDemo(name)); // And so on.
  if (sessions?.kind !== "list") return false;
  return [...sessions.rows.values()].some(({ json }) => isDemoClient((json as Json<SessionInfo>).client ?? "")); // As above.
}

function queryOf(route: Route, prefix: string): string {
  const query = new URLSearchParams({ screen: route.screen });
  if (route.screen === "lock") query.set("name", route.name);
  else if (route.screen === "now" || route.screen === "files") query.set("prefix", prefix);
  return query.toString();
}

const isUnder = (route: Route, tab: ScreenName): boolean =>
  route.screen === tab || (route.screen === "lock" && tab === "now");

const LINK_WORDS = {
  opening: "Connecting …",
  live: "Live",
  lost: "Connection lost",
  signed_out: "Signed out",
} as const;

function LinkState({ link }: { readonly link: Link }): JSX.Element {
  return (
    <p class={`link ${link.kind}`} role="status">
      {LINK_WORDS[link.kind]}
    </p>
  );
}

/** Figures of the whole node, on every screen. */
function Facts({ parts, nowMs }: { readonly parts: Parts; readonly nowMs: number }): JSX.Element {
  const part = parts["status"];
  if (part?.kind !== "value") return <div class="facts" />;
  const status = part.row.json as Json<StatusReply>; // The part `status` of every screen is this.
  const uptimeMs = (status.uptimeMs ?? 0) + Math.max(0, nowMs - part.row.atMs);
  const facts: readonly (readonly [string, string])[] = [
    ["Sessions", count(status.sessions ?? 0)],
    ["Grants held", count(status.grants ?? 0)],
    ["Waiting", count(status.waiting ?? 0)],
    ["Answers", status.durable ? "durable" : "relaxed"],
    ["Log", bytes(status.logBytes ?? 0)],
    ["Up", age(uptimeMs)],
    ["Version", status.version ?? ""],
  ];
  return (
    <>
      {status.stopped !== undefined && status.stopped !== "" && (
        <p class="banner bad" role="alert">
          The server takes no new work: {status.stopped}
        </p>
      )}
      <dl class="facts" aria-label="The server">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Mark(): JSX.Element {
  return (
    <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
      <path fill="none" stroke="currentColor" stroke-width="1.7" d="M4.8 7V5a3.2 3.2 0 0 1 6.4 0v2" />
      <rect x="3" y="7" width="10" height="7" rx="1.5" fill="currentColor" />
    </svg>
  );
}
