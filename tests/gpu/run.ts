/**
 * Builds what needs building, holds backends "cuda" and "webgpu" against the reference on this machine's GPU, then times them:
 * `deno task bench:gpu`, or this file on Node or Bun. Ends with a table of what was asked for and what was found.
 *
 * --backends cuda,webgpu   which; default both
 * --quick                  one small shape alone, to see whether everything works; a GPU in software will do
 * --json FILE              keeps every record
 * --chart FILE             the table as bars, SVG
 * --llama                  also whole decode steps of a Llama-2-7B with random weights: writes 13.5 GB to the folder for temporary files
 * --sanitize               also runs the conformance suite of cuda under compute-sanitizer: memcheck, then racecheck
 *
 * Needs a GPU with its driver; cuda also nvcc and, to be compared with, python3 with torch; the decode part smollm2-135m
 * (`ds pull smollm2-135m`).
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type BackendName, openBackend } from "../../backends/mod.ts";
import type { Backend } from "../../core/backend.ts";
import { realModelPath } from "../support/real_model.ts";
import { chart } from "./chart.ts";
import { bench, type BenchRow, conforms, ds, task } from "./commands.ts";
import { LLAMA_2_7B, writeRandomLlama } from "./random_llama.ts";
import { Report } from "./report.ts";
import { type AttentionShape, LARGE, LLAMA_GOALS, shapeName, SMALL } from "./shapes.ts";
import { torchAttention } from "./torch.ts";

const { values: options } = parseArgs({
  options: {
    backends: { type: "string", default: "cuda,webgpu" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    chart: { type: "string" },
    llama: { type: "boolean", default: false },
    sanitize: { type: "boolean", default: false },
  },
});
const shapes = options.quick ? SMALL : LARGE;
const report = new Report();

for (const name of options.backends.split(",") as BackendName[]) {
  // A library that is named is taken as it is.
  if (name === "cuda" && !process.env.DS_CUDA_LIBRARY && !task("build:cuda")) {
    fail("libds_cuda was not built (see above)");
  } else if (!await isThere(name)) fail(`nothing was timed on ${name}`);
  else if (!conforms(name)) fail(`backend ${name} is wrong on this GPU (see above): nothing was timed`);
  else {
    if (name === "cuda" && options.sanitize) sanitize();
    for (const shape of shapes) attention(name, shape);
    if (options.quick) report.note("not run: whole decode steps, for want of time");
    else decode(name);
    if (options.llama && !options.quick) llama(name);
  }
}
ds(["doctor"]);
if (options.backends.includes("cuda")) await beside();
console.log(`\n${report.table()}`);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report.records, null, 2)}\n`);
if (options.chart !== undefined) writeFileSync(options.chart, chart(report.bars));

function fail(reason: string): void {
  console.error(reason);
  process.exitCode = 1;
}

/** Tests skip a backend that cannot be opened: here that is a failure. */
async function isThere(name: BackendName): Promise<boolean> {
  return await withBackend(name, (backend) => {
    console.log(`${name}: ${backend.device.name}`);
    return Promise.resolve(true);
  }) ?? false;
}

/** @returns null where it cannot be opened, which has been said */
async function withBackend<R>(
  name: BackendName,
  body: (backend: Backend) => Promise<R>,
): Promise<R | null> {
  let backend: Backend;
  try {
    backend = await openBackend(name, { software: options.quick });
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
    return null;
  }
  try {
    return await body(backend);
  } finally {
    await backend.close();
  }
}

function sanitize(): void {
  for (const tool of ["memcheck", "racecheck"]) {
    const found = conforms("cuda", [
      "compute-sanitizer",
      "--target-processes",
      "all",
      "--tool",
      tool,
      "--error-exitcode",
      "1",
    ]);
    report.note(`compute-sanitizer ${tool}: ${found ? "clean" : "NOT CLEAN (see above)"}`);
    if (!found) process.exitCode = 1;
  }
}

function attention(name: BackendName, shape: AttentionShape): void {
  const { heads, kvHeads, batch, context, goals } = shape;
  const record = bench(name, [
    "attention",
    "--heads",
    `${heads}`,
    "--kv-heads",
    `${kvHeads}`,
    "--batch",
    `${batch}`,
    "--contexts",
    `${context}`,
  ]);
  const wanted = ({ mode }: BenchRow) =>
    mode === "dense" ? goals[name]?.dense : mode === "double-sparsity" ? goals[name]?.sparse : undefined;
  add(name, () => shapeName(shape), record, wanted);
}

function decode(name: BackendName): void {
  const model = realModelPath();
  if (model === null) {
    return report.note("not run: decode of smollm2-135m, which `ds pull smollm2-135m` gets");
  }
  const record = bench(name, ["decode", "--model", model, "--contexts", "512,2k,8k"]);
  add(name, ({ context }) => `smollm2-135m, ${context}`, record);
}

function llama(name: BackendName): void {
  const folder = mkdtempSync(join(tmpdir(), "ds-llama-"));
  try {
    const model = join(folder, "llama-2-7b-random.gguf");
    const calibration = join(folder, "random.dscal");
    writeRandomLlama(model, LLAMA_2_7B, 1);
    const of = ["--model", model, "--backend", name];
    const made = ds([
      "calibrate",
      ...of,
      "--quick",
      "--tokens",
      "512",
      "--block",
      "512",
      "--out",
      calibration,
      "--json",
    ]);
    if (made === null) return fail("the random Llama was not calibrated");
    const record = bench(name, [
      "decode",
      "--model",
      model,
      "--calibration",
      calibration,
      "--contexts",
      "512,32k",
    ]);
    const wanted = ({ context, mode }: BenchRow) =>
      name === "cuda" ? LLAMA_GOALS.get(context)?.[mode === "dense" ? "dense" : "sparse"] : undefined;
    add(name, ({ context }) => `Llama-2-7B, random f16, ${context}`, record, wanted);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function add(
  name: string,
  what: (row: BenchRow) => string,
  record: ReturnType<typeof bench>,
  wanted: (row: BenchRow) => string | undefined = () => undefined,
): void {
  if (record === null) return fail(`a benchmark of ${name} failed (see above)`);
  report.record(record);
  for (const row of record.rows) report.add(name, what(row), row, wanted(row));
}

/** What torch makes of the same steps, on the same tensors where a file can hold them. */
async function beside(): Promise<void> {
  const found = await withBackend("cuda", (backend) => torchAttention(backend, shapes));
  if (found === null) return;
  if (typeof found === "string") return report.note(found);
  report.record(found);
  report.note(
    `torch ${found.torch} on ${found.device}: copies ${found.copyGigabytesPerSecond.toFixed(0)} GB/s`,
  );
  for (const row of found.rows) report.addTorch(shapeName(row), row);
}
