// vite.config.ts: builds the dashboard into the server's folder, so that the published `forelock` carries it.
//   B1. What comes out works under a policy without inline scripts, styles or data: addresses, and asks nobody but its own server.
import { defineConfig } from "vite";

export default defineConfig({
  clearScreen: false,
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../server/dist/dashboard",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // B1
    modulePreload: false,
    reportCompressedSize: false,
  },
});
