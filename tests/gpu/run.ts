/**
 * Holds backend "webgpu" against the reference on this machine's GPU, then times it: `deno task bench:gpu`, or this file on Node or
 * Bun. Ends with a table of what was asked for and what was found; `--json FILE` keeps every record, `--quick` times one small shape
 * alone, to see whether everything works.
 *
 * Needs a GPU with its driver; the decode part also smollm2-135m (`ds pull smollm2-135m`).
 */
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { openBackend } from "../../backends/mod.ts";
import { realModelPath } from "../support/real_model.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RUNTIME = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
const TEST: Record<string, readonly string[]> = {
  deno: ["test", "-A", "--no-check"],
  bun: ["test", "--timeout", "120000"],
  node: ["--test"],
};
const RUN = RUNTIME === "deno" ? ["run", "-A", "--no-check"] : [];

interface Row {
  readonly shape: string;
  readonly context: number;
  readonly mode: string;
  readonly medianUs: number;
  readonly fractionOfCeiling: number | null;
  readonly ceilingGigabytesPerSecond: number;
  readonly gigabytesPerSecond: number | null;
  readonly speedupOverDense: number | null;
  readonly byteLimitSpeedup: number | null;
  readonly tokensPerSecond: number | null;
  readonly clock: string;
}

/** A shape, and what is wanted of it on a data-centre GPU: the dense step's share of copy bandwidth, the sparse step's gain. */
interface Attention {
  readonly heads: number;
  readonly kvHeads: number;
  readonly batch: number;
  readonly context: string;
  readonly dense?: number;
  readonly speedup?: number;
}

const isQuick = process.argv.includes("--quick");
const SMALL: readonly Attention[] = [{ heads: 4, kvHeads: 2, batch: 1, context: "1k" }];
const LARGE: readonly Attention[] = [
  { heads: 32, kvHeads: 32, batch: 1, context: "32k", dense: 0.5, speedup: 5 },
  { heads: 32, kvHeads: 32, batch: 8, context: "16k", dense: 0.5, speedup: 8 },
  { heads: 32, kvHeads: 8, batch: 1, context: "32k" },
  { heads: 32, kvHeads: 8, batch: 8, context: "32k" },
  { heads: 32, kvHeads: 8, batch: 1, context: "128k" },
];

const jsonAt = process.argv.indexOf("--json");
const records: unknown[] = [];
const lines: string[][] = [[
  "what",
  "mode",
  "median",
  "GB/s",
  "of copies",
  "gain",
  "byte limit",
  "tokens/s",
  "wanted",
]];

if (await isThere() && conforms()) {
  ds(["doctor"]);
  for (const shape of isQuick ? SMALL : LARGE) benchAttention(shape);
  if (isQuick) console.log("not run: decode of smollm2-135m, for want of time");
  else if (realModelPath() === null) {
    console.log("not run: decode of smollm2-135m, which `ds pull smollm2-135m` gets");
  } else benchDecode();
  console.log(`\n${table(lines)}`);
  if (jsonAt >= 0) writeFileSync(process.argv[jsonAt + 1]!, `${JSON.stringify(records, null, 2)}\n`);
}

/** Tests skip a backend that cannot be opened: here that is a failure. */
async function isThere(): Promise<boolean> {
  try {
    const backend = await openBackend("webgpu", { software: isQuick });
    console.log(`webgpu: ${backend.device.name}`);
    await backend.close();
    return true;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
    return false;
  }
}

/** The conformance suite and the backend's own tests on the GPU itself. */
function conforms(): boolean {
  const files = ["tests/conformance", "tests/backends/webgpu"].flatMap((folder) =>
    readdirSync(`${ROOT}/${folder}`).filter((name) => name.endsWith("_test.ts")).map((name) =>
      `./${folder}/${name}`
    )
  );
  const env = { ...process.env, DS_TEST_GPU: "1" };
  const { status } = spawnSync(process.execPath, [...TEST[RUNTIME]!, ...files], {
    cwd: ROOT,
    env,
    stdio: "inherit",
  });
  if (status !== 0) {
    console.error("backend webgpu is wrong on this GPU (see above): nothing was timed");
    process.exitCode = 1;
  }
  return status === 0;
}

function benchAttention({ heads, kvHeads, batch, context, dense, speedup }: Attention): void {
  const of = [
    "--heads",
    `${heads}`,
    "--kv-heads",
    `${kvHeads}`,
    "--batch",
    `${batch}`,
    "--contexts",
    context,
  ];
  for (const row of bench(["attention", ...of])) {
    const wanted = row.mode === "dense"
      ? dense && `${dense * 100} % of copies`
      : row.mode === "double-sparsity"
      ? speedup && `${speedup}x`
      : undefined;
    add(`${heads}/${kvHeads} heads, b${batch}, ${context}`, row, wanted ? String(wanted) : "");
  }
}

function benchDecode(): void {
  const contexts = ["--contexts", "512,2k,8k"];
  for (const row of bench(["decode", "--model", realModelPath()!, ...contexts])) {
    add(`smollm2-135m, ${row.context}`, row, "");
  }
}

function bench(argv: readonly string[]): readonly Row[] {
  const text = ds(["bench", ...argv, "--backends", "webgpu", "--json"]);
  if (text === null) return [];
  const record = JSON.parse(text) as { readonly rows: readonly Row[] };
  records.push(record);
  return record.rows;
}

/** @returns what it printed, or null where it failed, which it has said itself */
function ds(argv: readonly string[]): string | null {
  const command = [...RUN, "cli/main.ts", ...argv];
  const { status, stdout } = spawnSync(process.execPath, command, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (!argv.includes("--json")) console.log(stdout);
  if (status === 0) return stdout;
  process.exitCode = 1;
  return null;
}

function add(what: string, row: Row, wanted: string): void {
  const number = (value: number | null, digits: number, unit = "") =>
    value === null ? "" : value.toFixed(digits) + unit;
  lines.push([
    what,
    row.mode,
    `${row.medianUs.toFixed(1)} us (${row.clock})`,
    number(row.gigabytesPerSecond, 0),
    row.fractionOfCeiling === null ? "" : `${(row.fractionOfCeiling * 100).toFixed(0)} %`,
    number(row.speedupOverDense, 2, "x"),
    number(row.byteLimitSpeedup, 1, "x"),
    number(row.tokensPerSecond, 1),
    wanted,
  ]);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()).join("\n");
}
