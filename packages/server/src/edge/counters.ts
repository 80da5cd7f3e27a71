// counters.ts: what the edge counts. Plain numbers, so that counting costs nothing; metrics read them at each scrape.

export interface EdgeCounters {
  connections: number;
  connections_total: number;
  /** Refused with an answer: caps per address, per principal and in all. */
  connections_refused_total: number;
  /** Dropped by the operating system's side of the limit, without an answer. */
  connections_dropped_total: number;
  /** Cut: hello or frame came too slowly, or the answers were not read. */
  connections_slow_total: number;
  frames_received_total: number;
  frames_refused_total: number;
  operations_total: number;
  operations_refused_total: number;
  operations_overloaded_total: number;
  requests_in_flight: number;
  watchers: number;
  live_streams: number;
  /** Dropped: the screen was not read. */
  live_streams_slow_total: number;
  events_missed_total: number;
  heartbeats_total: number;
  heartbeats_dropped_total: number;
  authentications_failed_total: number;
  http_requests_total: number;
  grpc_calls_total: number;
}

export function createCounters(): EdgeCounters {
  return {
    connections: 0,
    connections_total: 0,
    connections_refused_total: 0,
    connections_dropped_total: 0,
    connections_slow_total: 0,
    frames_received_total: 0,
    frames_refused_total: 0,
    operations_total: 0,
    operations_refused_total: 0,
    operations_overloaded_total: 0,
    requests_in_flight: 0,
    watchers: 0,
    live_streams: 0,
    live_streams_slow_total: 0,
    events_missed_total: 0,
    heartbeats_total: 0,
    heartbeats_dropped_total: 0,
    authentications_failed_total: 0,
    http_requests_total: 0,
    grpc_calls_total: 0,
  };
}
