// assets.d.ts: what the bundler takes besides code.
declare module "*.css";
