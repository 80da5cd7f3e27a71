// output.ts: one stream that a command writes to, with back-pressure, a line that can be rewritten, and closed pipes told apart.
import { type Palette, paletteFor } from "./palette.ts";

/** Where text goes: a process's stdout or stderr, or a test's pass-through. */
export interface TextStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Whoever read our output has closed it, as `| head` does. Not a failure: the command ends quietly. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

export class Output {
  readonly #stream: TextStream;
  readonly palette: Palette;
  #failure: Error | undefined;
  #liveLine = false;

  constructor(stream: TextStream, env: Readonly<Record<string, string | undefined>>) {
    this.#stream = stream;
    this.palette = paletteFor(this.isTerminal, env);
    stream.on("error", (error: NodeJS.ErrnoException) => {
      this.#failure = error.code === "EPIPE" ? new ReaderGone("the reader of the output is gone") : error;
    });
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Columns of the terminal; undefined when output is not one, so that nothing is cut in files and pipes. */
  get width(): number | undefined {
    return this.isTerminal ? this.#stream.columns : undefined;
  }

  /** Resolves when the stream takes more. @throws ReaderGone, or the stream's own failure */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(chunk, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(this.#failure ?? closedOr(error));
      });
    });
  }

  async line(text: string): Promise<void> {
    await this.write(`${this.#clearLive()}${text}\n`);
  }

  async lines(texts: readonly string[]): Promise<void> {
    if (texts.length > 0) await this.write(`${this.#clearLive()}${texts.join("\n")}\n`);
  }

  /** On a terminal replaces the live line; elsewhere a line of its own. Errors are met by the next write. */
  live(text: string): void {
    this.#stream.write(this.isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
    this.#liveLine = this.isTerminal;
  }

  /** A line of its own that stays, from where nobody can wait for it. Errors are met by the next write. */
  note(text: string): void {
    this.#stream.write(`${this.#clearLive()}${text}\n`);
  }

  /** Removes the live line, if one stands. */
  settle(): void {
    const clear = this.#clearLive();
    if (clear !== "") this.#stream.write(clear);
  }

  #clearLive(): string {
    if (!this.#liveLine) return "";
    this.#liveLine = false;
    return "\r\u001b[K";
  }
}

function closedOr(error: Error): Error {
  const code = (error as NodeJS.ErrnoException).code; // Cast: errors of streams carry a code.
  return code === "EPIPE" || code === "ERR_STREAM_DESTROYED"
    ? new ReaderGone("the reader of the output is gone")
    : error;
}
