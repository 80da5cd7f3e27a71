// mutation.ts: what a planted bug is: a small change of the source that breaks a promise, and the tests that must notice.

export interface Mutation {
  readonly name: string;
  /** Which promise it breaks, for the table. */
  readonly breaks: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Stands exactly once in the file. When the source changes, this must be changed with it: the gate fails loudly. */
  readonly find: string;
  readonly replace: string;
  /** Test files, or folders of them, that are run: any failing test is enough. */
  readonly tests: readonly string[];
}

/** @throws when `find` does not stand in the source exactly once */
export function mutate(source: string, { name, file, find, replace }: Mutation): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `mutation "${name}": its text stands ${parts.length - 1} times in ${file}; it must stand there once:\n${find}`,
    );
  }
  return parts.join(replace);
}
