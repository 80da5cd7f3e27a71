// files.tsx: the guarded files: how long, how many records.
import type { FileInfo } from "@forelock/protocol";
import type { JSX } from "preact";
import type { Parts } from "../feed/screen.ts";
import { bytes, count } from "../format/format.ts";
import { Search } from "../parts/search.tsx";
import { Empty, Missing } from "../parts/state.tsx";
import { hashOf } from "../route.ts";
import type { Json } from "../wire/json.ts";

export interface FilesProps {
  readonly parts: Parts;
  readonly prefix: string;
  readonly onPrefix: (prefix: string) => void;
}

export function FilesScreen({ parts, prefix, onPrefix }: FilesProps): JSX.Element {
  return (
    <section aria-labelledby="files-title">
      <div class="bar">
        <h1 id="files-title">Files</h1>
        <Search label="Name begins with" prefix={prefix} onPrefix={onPrefix} />
      </div>
      <Files parts={parts} prefix={prefix} />
    </section>
  );
}

function Files({ parts, prefix }: { readonly parts: Parts; readonly prefix: string }): JSX.Element {
  const part = parts["files"];
  if (part?.kind !== "list") return <Missing part={part} />;
  const files = [...part.rows.values()].map(({ json }) => json as Json<FileInfo>); // The part `files` is made of these.
  if (files.length === 0)
    return <Empty title={prefix === "" ? "There are no files." : `No file begins with “${prefix}”.`} />;
  return (
    <>
      {part.more && <p class="note">The first {count(files.length)}. Type how a name begins to find others.</p>}
      <div class="scroll">
        <table>
          <caption class="hidden-title">Files</caption>
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col" class="number">
                Length
              </th>
              <th scope="col" class="number">
                Records
              </th>
              <th scope="col" class="number">
                Version
              </th>
            </tr>
          </thead>
          <tbody>
            {files.map(({ name = "", length = 0, records = 0, version = 0 }) => (
              <tr key={name}>
                <th scope="row">
                  <a href={hashOf({ screen: "lock", name })}>{name}</a>
                </th>
                <td class="number">{bytes(length)}</td>
                <td class="number">{count(records)}</td>
                <td class="number">{count(Number(version))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
