/** ds beside node-llama-cpp on the same weights in the same run; `README.md` tells how. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { sourceRevision } from "../../cli/bench_revision.ts";
import { describeRuntime } from "../../runtime/machine.ts";
import { realModelPath } from "../support/real_model.ts";
import { goldenPaths } from "./golden_paths.ts";
import { comparePaths, describePath, type PathReport } from "./greedy_path.ts";
import { type DecodePoint, Pair } from "./measure.ts";
import { type Part, type PeerOptions, readOptions, USAGE } from "./options.ts";
import { randomModelFile, WIDE_SIZES } from "./random_model.ts";
import type { EngineFacts } from "./requests.ts";
import { type Row, rowsTable } from "./rows.ts";

const SEED = 1;
const BOTH = ["dense", "double-sparsity"] as const;
/** A sixteenth of 512 tokens would hardly be more than those every step reads. */
const SMOLLM2: readonly DecodePoint[] = [
  { context: 512, modes: ["dense"] },
  { context: 2048, modes: BOTH },
  { context: 8192, modes: BOTH },
];
const WIDE: readonly DecodePoint[] = [4096, 16384, 32768].map((context) => ({
  context,
  modes: BOTH,
}));

interface Results {
  readonly rows: Row[];
  readonly paths: PathReport[];
  readonly engines: Map<
    string,
    { readonly ds: EngineFacts; readonly peer: EngineFacts }
  >;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!existsSync(new URL("node_modules/node-llama-cpp", import.meta.url))) {
    const install = "npm install --prefix tests/peers --omit=optional --ignore-scripts --no-package-lock";
    throw new Error(`node-llama-cpp is not installed: ${install}`);
  }
  const results: Results = { rows: [], paths: [], engines: new Map() };
  if (wants(options, "greedy", "prefill", "smollm2")) {
    await measureSmollm2(options, results);
  }
  if (wants(options, "wide")) await measureWide(options, results);
  report(options, results);
  return results.paths.every(({ passed }) => passed) ? 0 : 1;
}

async function measureSmollm2(
  options: PeerOptions,
  { rows, paths, engines }: Results,
): Promise<void> {
  const path = options.model ?? realModelPath();
  if (path === null) {
    throw new Error(
      "No smollm2-135m: fetch it with `ds pull smollm2-135m`, or name its file with --model",
    );
  }
  const points = wants(options, "smollm2") ? pointsOf(SMOLLM2, options) : [];
  const room = Math.max(
    wants(options, "greedy") ? 512 : 0,
    options.prompt + 1,
    longest(points),
  );
  const pair = await Pair.open("smollm2-135m", path, room, options);
  try {
    engines.set("smollm2-135m", pair.facts);
    if (wants(options, "greedy")) {
      for (const golden of goldenPaths(options.quick)) {
        const count = golden.golden?.ids.length ?? 32;
        const found = comparePaths(
          golden,
          await pair.greedyPath(golden, count),
        );
        paths.push(found);
        process.stderr.write(describePath(found));
      }
    }
    if (wants(options, "prefill")) {
      rows.push(note(await pair.prefillRow(options.prompt, options.rounds)));
    }
    await decodePoints(pair, points, false, options, rows);
  } finally {
    await pair.close();
  }
}

async function measureWide(
  options: PeerOptions,
  { rows, engines }: Results,
): Promise<void> {
  const points = pointsOf(WIDE, options);
  const folder = mkdtempSync(join(tmpdir(), "ds-peers-"));
  try {
    const path = join(folder, "wide.gguf");
    writeFileSync(path, randomModelFile(WIDE_SIZES, SEED));
    const pair = await Pair.open("wide", path, longest(points), options);
    try {
      engines.set("wide", pair.facts);
      await decodePoints(pair, points, true, options, rows);
    } finally {
      await pair.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function decodePoints(
  pair: Pair,
  points: readonly DecodePoint[],
  synthetic: boolean,
  { rounds }: PeerOptions,
  rows: Row[],
): Promise<void> {
  for (const point of points) {
    for (const row of await pair.decodeRows(point, rounds, synthetic)) {
      rows.push(note(row));
    }
  }
}

function pointsOf(
  usual: readonly DecodePoint[],
  { contexts, quick }: PeerOptions,
): DecodePoint[] {
  if (contexts !== null) {
    return contexts.toSorted((a, b) => a - b).map((context) => ({
      context,
      modes: BOTH,
    }));
  }
  return quick ? [{ context: 512, modes: BOTH }] : [...usual];
}

function longest(points: readonly DecodePoint[]): number {
  return Math.max(0, ...points.map(({ context }) => context));
}

function wants({ parts }: PeerOptions, ...any: readonly Part[]): boolean {
  return any.some((part) => parts.includes(part));
}

/** Says how far it is: the whole takes minutes. */
function note(row: Row): Row {
  const { model, mode, context, ds, peer } = row;
  const times = `ds ${ds.median.toFixed(2)} ms, peer ${peer.median.toFixed(2)} ms`;
  process.stderr.write(`${model} ${mode} at ${context}: ${times}\n`);
  return row;
}

function report(options: PeerOptions, { rows, paths, engines }: Results): void {
  const { runtime: _, ...machine } = describeRuntime();
  const out = (text: string) => process.stdout.write(text);
  for (const [model, { ds, peer }] of engines) {
    for (const facts of [ds, peer]) {
      out(`${model}: ${facts.engine} on ${facts.runtime}: ${facts.settings}\n`);
    }
  }
  out(`machine: ${machine.cpuModel}, ${machine.cpus} CPUs, ${machine.os}\n\n`);
  for (const path of paths) out(describePath(path));
  if (rows.length > 0) out(`\n${rowsTable(rows)}`);
  if (options.json === null) return;
  const record = {
    command: `tests/peers/run.ts ${process.argv.slice(2).join(" ")}`.trim(),
    revision: sourceRevision(),
    measuredAt: new Date().toISOString(),
    machine,
    options,
    engines: Object.fromEntries(engines),
    paths,
    rows,
  };
  writeFileSync(options.json, `${JSON.stringify(record, null, 2)}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
