#!/usr/bin/env node
// forelock.js: the command `forelock`. Committed, and not built, so that its link and its mode exist as soon as npm has installed.
import "../dist/main.js";
