/**
 * Gathers in dist/parts/ what the single executable packs and its entry, `binary.ts`, cannot name: the shaders, which are many, and
 * the native parts of npm `webgpu` and `koffi` for this machine. `deno task compile` runs it first.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
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

// koffi finds it among its own dependencies, and installers put it beside its real folder.
const koffi = createRequire(realpathSync(new URL("node_modules/koffi/package.json", ROOT)));
const koffiMachine = `${process.platform}-${process.arch}`;
const koffiFolder = dirname(koffi.resolve(`@koromix/koffi-${koffiMachine}`));
copyFileSync(join(koffiFolder, koffiMachine.replace("-", "_"), "koffi.node"), new URL("koffi.node", PARTS));
