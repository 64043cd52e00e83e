/**
 * The entry of the single executable (`deno task compile`): Bun packs these files into it, and they are handed to the parts that
 * would read them from disk. Only Bun knows such imports, so `deno task check` leaves this file out.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import model from "../runtime/embedded/stories260K.bin" with { type: "file" };
import tokenizer from "../runtime/embedded/tok512.bin" with { type: "file" };
import smollm2 from "../calibrations/smollm2-135m.dscal" with { type: "file" };
import { provideAsset } from "../runtime/assets.ts";
import { main } from "./main.ts";
import { processStreams } from "./streams.ts";

const assets: Record<string, string> = {
  "runtime/embedded/stories260K.bin": model,
  "runtime/embedded/tok512.bin": tokenizer,
  "calibrations/smollm2-135m.dscal": smollm2,
};
for (const [path, packed] of Object.entries(assets)) provideAsset(path, new Uint8Array(readFileSync(packed)));

process.exit(await main(process.argv.slice(2), process.env, processStreams()));
