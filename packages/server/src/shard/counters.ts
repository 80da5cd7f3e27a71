// counters.ts: plain numbers about a node, for metrics. Read at each scrape; nothing here is counted by operation.
import type { Node } from "./node.ts";

/** Name, without the prefix of the metrics, to value. */
export function countersOf(node: Node): Readonly<Record<string, number>> {
  const { directory, awaits, options, foresight } = node;
  const { totals } = foresight.ledger;
  const sums = { events: 0, records: 0, grants: 0, waiting: 0, remembered: 0, files: 0, warnings: 0, owed: 0 };
  for (const { state, events, records } of node.shards) {
    sums.events += events;
    sums.records += records;
    sums.grants += state.grants;
    sums.waiting += state.waits.size;
    sums.remembered += state.operations;
    sums.files += state.files.size;
    sums.warnings += state.warnings.size;
    sums.owed += state.compensations.size;
  }
  return {
    refusals_total: node.refusals,
    log_events_total: sums.events,
    log_records_total: sums.records,
    grants: sums.grants,
    waiting_operations: sums.waiting,
    remembered_operations: sums.remembered,
    files: sums.files,
    sessions: directory.size,
    awaits: awaits.size,
    bulk_pending_bytes: options.bulk.pendingBytes,
    log_bytes_since_snapshot: options.log.bytesSinceSnapshot,
    durable: options.isDurable ? 1 : 0,
    open_warnings: sums.warnings,
    owed_compensations: sums.owed,
    warnings_total: totals.warnings,
    warnings_released_total: totals.released,
    warnings_wrong_total: totals.wrong,
    warnings_ignored_total: totals.ignored,
    extensions_total: totals.extended,
    preemptions_total: totals.forced,
    observed_total: totals.observed,
    observed_right_total: totals.observedRight,
    observed_wrong_total: totals.observedWrong,
  };
}
