/**
 * Gathers in dist/parts/ what the single executable packs and its entry, `binary.ts`, cannot name: the shaders, which are many, and
 * the native part of npm `webgpu` for this machine. `deno task compile` runs it first.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const ROOT = new URL("../", import.meta.url);
const PARTS = new URL("dist/parts/", ROOT);
const SHADERS = new URL("backends/webgpu/kernels/", ROOT);

mkdirSync(PARTS, { recursive: true });
const shaders = readdirSync(SHADERS).filter((name) => name.endsWith(".wgsl")).sort()
  .map((name) => [name.slice(0, -".wgsl".length), readFileSync(new URL(name, SHADERS), "utf8")]);
writeFileSync(new URL("shaders.json", PARTS), JSON.stringify(Object.fromEntries(shaders)));

const machine = process.platform === "darwin" ? "darwin-universal" : `${process.platform}-${process.arch}`;
copyFileSync(new URL(`node_modules/webgpu/dist/${machine}/dawn.node`, ROOT), new URL("dawn.node", PARTS));
