// held-locks.tsx: the locks that one session holds. The protocol lists locks, not grants: so the list is looked through, with an end.
import type { LockInfo } from "@forelock/protocol";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { age, count } from "../format/format.ts";
import { hashOf } from "../route.ts";
import { ask } from "../wire/ask.ts";
import type { Json } from "../wire/json.ts";

const PAGE = 1_000;
const PAGES_MAX = 20;
const SHOWN_MAX = 50;

interface Found {
  readonly locks: readonly Json<LockInfo>[];
  /** Not everything was looked at. */
  readonly isCut: boolean;
}

export function HeldLocks({ session, grants }: { readonly session: string; readonly grants: number }): JSX.Element {
  const [found, setFound] = useState<Found | Error>();
  useEffect(() => {
    const gone = new AbortController();
    find(session, grants, gone.signal).then(
      (locks) => !gone.signal.aborted && setFound(locks),
      (error: Error) => !gone.signal.aborted && setFound(error),
    );
    return () => gone.abort();
  }, [session, grants]);
  if (grants === 0) return <p class="note">None.</p>;
  if (found === undefined) return <p class="note">Looking …</p>;
  if (found instanceof Error) return <p role="alert">{found.message}</p>;
  return (
    <>
      <ul class="names">
        {found.locks.slice(0, SHOWN_MAX).map(({ name = "", holders = [] }) => (
          <li key={name}>
            <a href={hashOf({ screen: "lock", name })}>{name}</a>{" "}
            <span class="note">{age(holders.find((holder) => holder.session === session)?.heldMs ?? 0)}</span>
          </li>
        ))}
      </ul>
      {found.locks.length > SHOWN_MAX && (
        <p class="note">
          The first {SHOWN_MAX} of {count(found.locks.length)}.
        </p>
      )}
      {found.isCut && <p class="note">Only the first {count(PAGE * PAGES_MAX)} locks were looked through.</p>}
    </>
  );
}

/** Ends when all grants were found. A shared element lists its first holders only, so some may not be. */
async function find(session: string, grants: number, gone: AbortSignal): Promise<Found> {
  const locks: Json<LockInfo>[] = [];
  let after = "";
  for (let page = 0; page < PAGES_MAX && !gone.aborted; page += 1) {
    const reply = await ask("list-locks", { after, limit: PAGE });
    const rows = reply.locks ?? [];
    locks.push(...rows.filter(({ holders = [] }) => holders.some((holder) => holder.session === session)));
    after = rows.at(-1)?.name ?? "";
    if (reply.more !== true || locks.length >= grants) return { locks, isCut: false };
  }
  return { locks, isCut: true };
}
