// lines.ts: where the shell's lines come from: a person at a terminal (prompt, history, completion, Ctrl-C), or a pipe.
// Not here: what lines mean (shell.ts).
import { createInterface, type Interface } from "node:readline";
import type { CliIo, InputStream } from "../io.ts";
import type { TextStream } from "../output.ts";

export interface Lines {
  /** The next line; undefined at the end of the input. From a pipe the prompt is not shown. */
  next(prompt: string): Promise<string | undefined>;
  /** Ctrl-C at the terminal. Returns a function that ends listening; without a listener the line is cleared. */
  onInterrupt(listener: () => void): () => void;
  /** Shows the prompt again, after something was printed while a person was typing. */
  redraw(): void;
  close(): void;
  readonly isTerminal: boolean;
}

/** @param complete what could stand in place of the last word of the line */
export type Complete = (line: string) => Promise<{ readonly candidates: readonly string[]; readonly word: string }>;

const HISTORY_MAX = 500;

export function openLines(io: CliIo, complete: Complete): Lines {
  const isTerminal = io.stdin.isTTY === true && io.stdout.isTTY === true;
  const readline = createInterface({
    input: io.stdin,
    ...(isTerminal && { output: io.stdout }),
    terminal: isTerminal,
    historySize: HISTORY_MAX,
    removeHistoryDuplicates: true,
    crlfDelay: Number.POSITIVE_INFINITY,
    completer: (line: string, callback: (error: null, result: [string[], string]) => void) => {
      const none = { candidates: [], word: line };
      // A completion that fails must not end the prompt: the person goes on typing.
      void complete(line)
        .catch(() => none)
        .then(({ candidates, word }) => callback(null, [[...candidates], word]));
    },
  });
  return new ReadlineLines(readline, io, isTerminal);
}

class ReadlineLines implements Lines {
  readonly #readline: Interface;
  readonly #input: InputStream;
  readonly #output: TextStream;
  readonly isTerminal: boolean;
  readonly #arrived: string[] = [];
  readonly #interrupts: (() => void)[] = [];
  #waiting: ((line: string | undefined) => void) | undefined;
  #ended = false;

  constructor(readline: Interface, { stdin, stdout }: CliIo, isTerminal: boolean) {
    this.#readline = readline;
    this.#input = stdin;
    this.#output = stdout;
    this.isTerminal = isTerminal;
    readline.on("line", (line) => this.#arrive(line));
    readline.on("close", () => this.#end());
    readline.on("SIGINT", () => this.#interrupt());
  }

  next(prompt: string): Promise<string | undefined> {
    const line = this.#arrived.shift();
    if (this.isTerminal) this.#readline.setPrompt(prompt);
    if (line !== undefined || this.#ended) return Promise.resolve(line);
    if (this.isTerminal) this.#readline.prompt();
    else this.#readline.resume();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  onInterrupt(listener: () => void): () => void {
    this.#interrupts.push(listener);
    return () => {
      const index = this.#interrupts.indexOf(listener);
      if (index >= 0) this.#interrupts.splice(index, 1);
    };
  }

  redraw(): void {
    if (this.isTerminal && this.#waiting !== undefined) this.#readline.prompt(true);
  }

  close(): void {
    this.#readline.close();
    this.#input.pause();
  }

  #arrive(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) waiting(line);
    else this.#arrived.push(line);
    // Lines of a pipe are read as they are carried out: a script of any length takes no more memory than one buffer.
    if (!this.isTerminal) this.#readline.pause();
  }

  #end(): void {
    this.#ended = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
  }

  #interrupt(): void {
    const listener = this.#interrupts.at(-1);
    if (listener !== undefined) {
      listener();
      return;
    }
    if (this.#readline.line === "") this.#output.write("\nquit, or Ctrl-D, leaves.\n");
    this.#readline.write(null, { ctrl: true, name: "u" }); // Clears what was typed, as shells do, and shows the prompt.
  }
}
