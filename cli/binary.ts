/**
 * The entry of the single executable (`deno task compile`): Bun packs these files into it, and they are handed to the parts that
 * would read them from disk. Only Bun knows such imports, so `deno task check` leaves this file out.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import model from "../runtime/embedded/stories260K.bin" with { type: "file" };
import tokenizer from "../runtime/embedded/tok512.bin" with { type: "file" };
import smollm2 from "../calibrations/smollm2-135m.dscal" with { type: "file" };
import kernels from "../backends/cpu/kernels.wasm" with { type: "file" };
import relaxedKernels from "../backends/cpu/kernels_relaxed.wasm" with { type: "file" };
import { provideCpuFiles, provideCudaFiles, provideWebGpuFiles } from "../backends/mod.ts";
import shaders from "../dist/parts/shaders.json" with { type: "json" };
import { provideAsset } from "../runtime/assets.ts";
import { main } from "./main.ts";
import { processStreams } from "./streams.ts";

const bytesOf = (packed: string) => new Uint8Array(readFileSync(packed));

const assets: Record<string, string> = {
  "runtime/embedded/stories260K.bin": model,
  "runtime/embedded/tok512.bin": tokenizer,
  "calibrations/smollm2-135m.dscal": smollm2,
};
for (const [path, packed] of Object.entries(assets)) provideAsset(path, bytesOf(packed));

await provideCpuFiles({
  kernels: bytesOf(kernels),
  relaxedKernels: bytesOf(relaxedKernels),
  // The second entry: Bun keeps entries by their paths below the folder that all of them share.
  worker: new URL("./backends/cpu/worker.ts", import.meta.url),
});

// What `binary_parts.ts` gathered. Only a call of require with its path as it stands makes Bun pack an addon.
await provideWebGpuFiles({ shaders, dawn: () => require("../dist/parts/dawn.node") });
await provideCudaFiles({ koffi: () => require("../dist/parts/koffi.node") });

process.exit(await main(process.argv.slice(2), process.env, processStreams()));
