// weather.ts: what a network does to the bytes of one direction of a connection.

export interface Direction {
  /** Every chunk arrives this much later. Order is kept, as TCP keeps it. */
  readonly delayMs: number;
  /** And up to this much later still, drawn from the proxy's seed. */
  readonly jitterMs: number;
  /** Nothing arrives for now; what was sent meanwhile arrives when the stall ends. */
  readonly stalled: boolean;
  /** Bytes are swallowed. The connection is then beyond repair and is reset when the weather changes. */
  readonly dropped: boolean;
  /** Bytes a second that the far side takes; undefined: all it gets. Slower is a slow reader: the sender's buffers fill. */
  readonly bytesPerSecond: number | undefined;
  /** The connection is cut once this many further bytes have passed; undefined: never. */
  readonly cutAfterBytes: number | undefined;
}

export interface Weather {
  readonly toServer: Direction;
  readonly toClient: Direction;
}

export const CALM_DIRECTION: Direction = {
  delayMs: 0,
  jitterMs: 0,
  stalled: false,
  dropped: false,
  bytesPerSecond: undefined,
  cutAfterBytes: undefined,
};

export const CALM: Weather = { toServer: CALM_DIRECTION, toClient: CALM_DIRECTION };

/** What happened so far: a fault that left no trace here did not happen. */
export interface WeatherCounts {
  connections: number;
  refused: number;
  chunksDelayed: number;
  chunksStalled: number;
  chunksSlowed: number;
  bytesDropped: number;
  cuts: number;
  resets: number;
  halfCloses: number;
}

export function noWeather(): WeatherCounts {
  return {
    connections: 0,
    refused: 0,
    chunksDelayed: 0,
    chunksStalled: 0,
    chunksSlowed: 0,
    bytesDropped: 0,
    cuts: 0,
    resets: 0,
    halfCloses: 0,
  };
}
