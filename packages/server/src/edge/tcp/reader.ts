// reader.ts: bytes of a stream to frames, each behind a 4-byte big-endian length. Not here: what a frame says
// (frame/decode.ts), deadlines (carrier.ts).
//   R1. A length is checked before anything is allocated for it, and what is allocated grows with what has really come.
//   R2. A frame that lies whole in one chunk is handed on without a copy.
//   R3. While the receiver holds, nothing is handed on, and at most what had come already is kept.

export const HEADER_BYTES = 4;
const PARTIAL_BYTES_MIN = 256;

export type FrameProblem = { readonly kind: "empty" } | { readonly kind: "too_large"; readonly bytes: number };

export class FrameReader {
  readonly #bytesMax: number;
  /** Takes one frame; false: hold, until `resume`. The bytes are never used again here. */
  readonly #take: (frame: Uint8Array) => boolean;
  #partial: Buffer | undefined;
  #filled = 0;
  #held: Buffer | undefined;
  #isHolding = false;
  #frames = 0;

  constructor(bytesMax: number, take: (frame: Uint8Array) => boolean) {
    this.#bytesMax = bytesMax;
    this.#take = take;
  }

  /** Whether a frame has begun that is not whole yet. */
  get isInside(): boolean {
    return this.#partial !== undefined;
  }

  /** Whether the receiver asked to be given no more for now. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** Frames handed on so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Whether `chunk` is one frame and nothing else, as most are: its receiver may take it as it is, and then tells `took`. */
  isOneFrame(chunk: Buffer): boolean {
    if (this.#partial !== undefined || this.#isHolding || chunk.length <= HEADER_BYTES) return false;
    const length = chunk.readUInt32BE(0);
    return length === chunk.length - HEADER_BYTES && length <= this.#bytesMax; // R1
  }

  /** A frame was taken past this reader. */
  took(goesOn: boolean): void {
    this.#frames++;
    this.#isHolding = !goesOn;
  }

  /** Hands on every frame that is whole. After a problem the stream cannot be told apart any more: stop. */
  push(chunk: Buffer): FrameProblem | undefined {
    if (this.#isHolding) {
      // R3: the stream is paused, so this is the one chunk that was on its way.
      this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
      return undefined;
    }
    return this.#partial === undefined ? this.#whole(chunk, 0) : this.#continue(chunk);
  }

  /** Goes on after a hold. */
  resume(): FrameProblem | undefined {
    const held = this.#held;
    this.#held = undefined;
    this.#isHolding = false;
    return held === undefined ? undefined : this.push(held);
  }

  /** Lets go of all bytes: nothing is handed on any more. */
  discard(): void {
    this.#partial = undefined;
    this.#held = undefined;
  }

  #whole(chunk: Buffer, from: number): FrameProblem | undefined {
    let at = from;
    while (chunk.length - at >= HEADER_BYTES) {
      const length = chunk.readUInt32BE(at);
      const problem = this.#problem(length); // R1
      if (problem !== undefined) return problem;
      const end = at + HEADER_BYTES + length;
      if (end > chunk.length) break;
      const goesOn = this.#give(chunk.subarray(at + HEADER_BYTES, end)); // R2
      at = end;
      if (goesOn) continue;
      if (at < chunk.length) this.#held = chunk.subarray(at);
      return undefined;
    }
    if (at < chunk.length) {
      this.#partial = Buffer.allocUnsafe(Math.max(PARTIAL_BYTES_MIN, chunk.length - at));
      this.#filled = chunk.copy(this.#partial, 0, at);
    }
    return undefined;
  }

  #continue(chunk: Buffer): FrameProblem | undefined {
    let at = 0;
    if (this.#filled < HEADER_BYTES) {
      at = this.#fill(chunk, 0, HEADER_BYTES);
      if (this.#filled < HEADER_BYTES) return undefined;
    }
    const length = this.#partial!.readUInt32BE(0); // `push` came here because there is one.
    const problem = this.#problem(length);
    if (problem !== undefined) return problem;
    const end = HEADER_BYTES + length;
    at = this.#fill(chunk, at, end);
    if (this.#filled < end) return undefined;
    const frame = this.#partial!.subarray(HEADER_BYTES, end);
    this.#partial = undefined;
    if (this.#give(frame)) return this.#whole(chunk, at);
    if (at < chunk.length) this.#held = chunk.subarray(at);
    return undefined;
  }

  #give(frame: Uint8Array): boolean {
    this.took(this.#take(frame));
    return !this.#isHolding;
  }

  /** Copies from `chunk` until `end` bytes of the frame are there, or the chunk is used up. @returns where it stopped */
  #fill(chunk: Buffer, at: number, end: number): number {
    const take = Math.min(end - this.#filled, chunk.length - at);
    let partial = this.#partial!; // As in #continue.
    if (this.#filled + take > partial.length) {
      const grown = Math.min(Math.max(partial.length * 2, this.#filled + take), this.#bytesMax + HEADER_BYTES); // R1
      const larger = Buffer.allocUnsafe(grown);
      partial.copy(larger, 0, 0, this.#filled);
      this.#partial = partial = larger;
    }
    chunk.copy(partial, this.#filled, at, at + take);
    this.#filled += take;
    return at + take;
  }

  #problem(length: number): FrameProblem | undefined {
    if (length === 0) return { kind: "empty" };
    return length > this.#bytesMax ? { kind: "too_large", bytes: length } : undefined;
  }
}
