// json.ts: JSON as strictly as a lock service should read it. Not here: which fields a request has (fields.ts).
//   J1. Objects become Maps: no key can reach a prototype.
//   J2. A key stands once; a number is finite, and an integer is exact.
//   J3. Depth is bounded, so that no text exhausts the stack.
import { ForelockError } from "@forelock/protocol";

export type JsonValue = string | number | boolean | undefined | readonly JsonValue[] | JsonObject;
export type JsonObject = ReadonlyMap<string, JsonValue>;

const DEPTH_MAX = 16;
const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

/** `null` becomes `undefined`: in the mapping of protobuf it means that a field is absent. @throws ForelockError `bad_argument` */
export function parseJson(text: string): JsonValue {
  const parser = new Parser(text);
  const value = parser.value("body", 0);
  parser.end();
  return value;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(path: string, depth: number): JsonValue {
    if (depth > DEPTH_MAX) throw this.#bad(`${path}: more than ${DEPTH_MAX} deep`); // J3
    this.#take(SPACE);
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(path, depth);
      case "[":
        return this.#array(path, depth);
      case '"':
        return this.#string(path);
      case "t":
      case "f":
      case "n":
        return this.#word(path);
      default:
        return this.#number(path);
    }
  }

  end(): void {
    this.#take(SPACE);
    if (this.#at < this.#text.length) throw this.#bad("body: something follows the value");
  }

  #object(path: string, depth: number): JsonObject {
    const fields = new Map<string, JsonValue>(); // J1
    this.#at++;
    if (this.#closes("}")) return fields;
    do {
      this.#take(SPACE);
      const key = this.#string(`a key of ${path}`);
      if (fields.has(key)) throw this.#bad(`${path}.${key}: is there twice`); // J2
      if (!this.#closes(":")) throw this.#bad(`${path}.${key}: no colon after the key`);
      fields.set(key, this.value(`${path}.${key}`, depth + 1));
    } while (this.#closes(","));
    if (!this.#closes("}")) throw this.#bad(`${path}: not closed by }`);
    return fields;
  }

  #array(path: string, depth: number): readonly JsonValue[] {
    const values: JsonValue[] = [];
    this.#at++;
    if (this.#closes("]")) return values;
    do values.push(this.value(`${path}[${values.length}]`, depth + 1));
    while (this.#closes(","));
    if (!this.#closes("]")) throw this.#bad(`${path}: not closed by ]`);
    return values;
  }

  #string(path: string): string {
    const start = this.#at;
    if (this.#text[start] !== '"') throw this.#bad(`${path}: not a string`);
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    try {
      const value = JSON.parse(this.#text.slice(start, end + 1)) as string; // From quote to quote: a string, or not JSON.
      this.#at = end + 1;
      return value;
    } catch (cause) {
      throw new ForelockError("bad_argument", `${path}: not a JSON string (at character ${start}).`, { cause });
    }
  }

  #word(path: string): boolean | undefined {
    const token = this.#take(WORD);
    if (token === undefined) throw this.#bad(`${path}: not a JSON value`);
    return token === "null" ? undefined : token === "true";
  }

  #number(path: string): number {
    const token = this.#take(NUMBER);
    if (token === undefined) throw this.#bad(`${path}: not a JSON value`);
    const number = Number(token);
    // J2: 9007199254740993 would silently become another token.
    if (Math.abs(number) > Number.MAX_SAFE_INTEGER)
      throw this.#bad(`${path}: ${token} is above 2^53 - 1: write it as a string`);
    return number;
  }

  /** Skips white space and, if it comes next, `mark`. @returns whether it did */
  #closes(mark: string): boolean {
    this.#take(SPACE);
    if (this.#text[this.#at] !== mark) return false;
    this.#at++;
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [token] = pattern.exec(this.#text) ?? [];
    if (token !== undefined) this.#at += token.length;
    return token;
  }

  #bad(what: string): ForelockError {
    return new ForelockError("bad_argument", `${what} (at character ${this.#at}).`);
  }
}
