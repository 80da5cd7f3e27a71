// name.ts: what the text of a name says: its tag, and its ancestors within the tag. Names arrive canonical (edge/validate.ts).
import { tagOf } from "@forelock/protocol";

const NONE: readonly string[] = [];

/** The names above `name` that share its tag, nearest first; none without a tag: there `/` has no such meaning. */
export function ancestorsOf(name: string): readonly string[] {
  const open = name.indexOf("{");
  if (open < 0 || tagOf(name) === undefined) return NONE;
  const tagEnd = name.indexOf("}", open);
  const ancestors: string[] = [];
  for (let slash = name.lastIndexOf("/"); slash > tagEnd; slash = name.lastIndexOf("/", slash - 1)) {
    ancestors.push(name.slice(0, slash));
  }
  return ancestors;
}
