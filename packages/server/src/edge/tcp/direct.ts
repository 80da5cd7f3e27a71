// direct.ts: what comes on a socket, handed on without a stay in the stream's own buffer. Not here: frames (reader.ts).
//   I1. Order holds: while anything waits in the stream's buffer, what comes waits behind it.
//   I2. A paused socket hands on nothing; its stream keeps what is on its way, and stops reading at its usual limit.
import type { Socket } from "node:net";

/**
 * Calls `read` with each chunk, while `socket` flows. A stream would ask after every chunk, in a tick of its own, whether there is room
 * for more: with a frame or two a chunk that costs as much as the frame.
 */
export function readDirectly(socket: Socket, read: (chunk: Buffer) => void): void {
  const push = socket.push;
  socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    const goesOn = chunk !== null && socket.readableFlowing === true && socket.readableLength === 0;
    if (!goesOn) return push.call(socket, chunk, encoding); // I1, I2, and the end.
    read(chunk);
    return true; // Goes on reading: a pause shows at the next chunk.
  };
  socket.on("data", read);
}
