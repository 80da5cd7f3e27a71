#!/usr/bin/env -S node --max-semi-space-size=64
// forelock.js: the command `forelock`. Committed, and not built, so that its link and its mode exist as soon as npm has installed.
import "../dist/main.js";
