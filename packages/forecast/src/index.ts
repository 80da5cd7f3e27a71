// index.ts: what the forecast package offers. Two families: durations (how long will this hold last) and series (what will this
// number be). Pure: no clock, no chance, no I/O; times and seeds are arguments.
export {};
