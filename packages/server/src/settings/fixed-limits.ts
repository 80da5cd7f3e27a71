// fixed-limits.ts: limits that no setting changes, because formats or clients rely on them: for docs/limits.md. The parts that
// enforce them hold the constants; pages.test.ts compares what it can.

export interface FixedLimit {
  readonly what: string;
  readonly limit: string;
  /** As `atLimit` of a setting. */
  readonly atLimit: string;
}

export const FIXED_LIMITS: readonly FixedLimit[] = [
  { what: "Length of a name", limit: "1 to 512 bytes of NFC UTF-8", atLimit: "`bad_name`" },
  { what: "Depth of a name with a tag", limit: "16 parts", atLimit: "`bad_name`" },
  { what: "One append", limit: "196,608 bytes", atLimit: "`frame_too_large`; clients split or refuse." },
  { what: "Effects under one undoable grant", limit: "10,000", atLimit: "`effects_full`" },
  { what: "Elements in one lockAll", limit: "256", atLimit: "`bad_argument`" },
  { what: "Permits of a semaphore", limit: "1 to 1,000,000", atLimit: "`bad_argument`" },
  { what: "Priority of a waiter", limit: "0 to 9", atLimit: "`bad_argument`" },
  { what: "Shortest ttl of a session", limit: "1,000 ms", atLimit: "`bad_argument`" },
  { what: "One record of the log", limit: "1,048,576 bytes", atLimit: "A larger turn is split." },
  { what: "Files expanded from the setting `files`", limit: "100,000", atLimit: "`bad_setting`" },
  {
    what: "File contents kept open",
    limit: "64 files, two descriptors each",
    atLimit: "The least recently used is closed.",
  },
  { what: "Operations on file contents in flight", limit: "2", atLimit: "The others wait." },
  {
    what: "File contents that one peer sends another at once",
    limit: "262,144 bytes",
    atLimit: "The rest is asked for next.",
  },
  { what: "Peers that are served file contents at once", limit: "2", atLimit: "`overloaded`" },
  { what: "Requests for the history that wait for one another", limit: "8", atLimit: "`overloaded`" },
  {
    what: "Answer to a request for the history",
    limit: "half a frame",
    atLimit: "The newest are kept; `more` is set.",
  },
  { what: "Calls for lost grants under way", limit: "16, to one origin 4", atLimit: "The others wait." },
  {
    what: "Requests of a partition with terms of their own, and calls owed",
    limit: "10,000",
    atLimit: "`overloaded`",
  },
  {
    what: "Pairs of client and element with a history",
    limit: "20,000",
    atLimit: "The least recently used is forgotten.",
  },
  { what: "Series that wait to be fitted", limit: "64", atLimit: "The others are asked for again at the next step." },
  { what: "Decisions remembered for GetPrediction", limit: "1,000 to 2,000", atLimit: "The oldest is forgotten." },
  { what: "Idle elements kept ready in a partition", limit: "512", atLimit: "The one idle longest is dropped." },
  {
    what: "Elements below a waited-for one that a look passes",
    limit: "256",
    atLimit: "Holders beyond are looked at when earlier ones have ended.",
  },
  {
    what: "Outcomes of warnings that a partition keeps for budgets and cool-downs",
    limit: "1,000, a day",
    atLimit: "The oldest is forgotten: after a restart it does not count.",
  },
  { what: "Names kept in mind while a log is read", limit: "8,192", atLimit: "The others are made anew." },
  { what: "Live screens of the dashboard", limit: "64", atLimit: "`watchers_full`" },
  { what: "Rows of a live screen", limit: "1 to 500", atLimit: "`bad_argument`; more are found by prefix." },
  { what: "Looks that a live screen may be behind", limit: "15, a second each", atLimit: "Its stream is cut." },
  {
    what: "One transaction of appends at etcd",
    limit: "128 operations and 1,507,328 bytes: 42 partitions",
    atLimit: "The others go with the next.",
  },
  {
    what: "Requests to etcd under way",
    limit: "64, and 4,096 that wait",
    atLimit: "`unavailable` inside; appends wait.",
  },
  { what: "Epochs of a partition", limit: "8,388,607", atLimit: "`not_supported`" },
  { what: "One chunk of a snapshot in etcd", limit: "524,288 bytes", atLimit: "The rest goes to the next." },
  {
    what: "Requests that wait for an owner of their partition",
    limit: "10,000, with 64 MiB of appends",
    atLimit: "`unavailable`, as after the time that they may wait.",
  },
  {
    what: "Waits that a node gives the threshold controller at once, and the time that it has for it",
    limit: "65,536, of one policy 4,096; 2,000 ms",
    atLimit: "The rest goes with the next look; of one policy it is not counted.",
  },
  {
    what: "Actors, and edges between them, of one answer about who waits for whom",
    limit: "1,000, and 256 KiB",
    atLimit: "Others are told next time.",
  },
  {
    what: "Time of a node to tell who waits for whom there, and to check a cycle again",
    limit: "1,000 ms",
    atLimit: "It takes no part in this look; nobody is refused.",
  },
  { what: "Reads that wait for an owner of their partition", limit: "1,000", atLimit: "`unavailable`" },
  {
    what: "Bytes that wait for another node on one connection",
    limit: "16,777,216",
    atLimit: "`overloaded`",
  },
  {
    what: "Direct connections of a client",
    limit: "16 (`directMax`)",
    atLimit: "The others' requests are forwarded.",
  },
  { what: "Maps of owners told to a client", limit: "one in 100 ms", atLimit: "The next one has it all." },
  {
    what: "Age of a proof between nodes, and how far their clocks may differ",
    limit: "60,000 ms",
    atLimit: "`unauthenticated`",
  },
  {
    what: "Forwarded connections that a node takes within two minutes",
    limit: "200,000",
    atLimit: "`rate_limited`",
  },
  { what: "Moves of partitions between workers that wait", limit: "1,024", atLimit: "`overloaded`" },
  {
    what: "Bytes between two threads on one connection that are not read yet",
    limit: "1,048,576, and one write",
    atLimit: "The writer waits, as for a peer that does not read.",
  },
];
