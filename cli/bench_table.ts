import type { BenchRow } from "../core/bench/row.ts";
import type { BenchDevice } from "./bench_record.ts";
import { table } from "./table.ts";

/** A column of the table: its head and a row's cell, null where the row has no such number. */
type Column = readonly [head: string, cell: (row: BenchRow) => string | null];

const TABLE: readonly Column[] = [
  ["backend", ({ backend }) => backend],
  ["context", ({ context }) => String(context)],
  // A part stands indented below its step.
  ["mode", ({ mode }) => mode.replace(/^.*: /, "  ")],
  ["median", ({ medianUs }) => microseconds(medianUs)],
  ["p10", ({ p10Us }) => microseconds(p10Us)],
  ["p90", ({ p90Us }) => microseconds(p90Us)],
  ["GB/s", ({ gigabytesPerSecond }) => optional(gigabytesPerSecond, fixed)],
  [
    "of ceiling",
    ({ fractionOfCeiling }) => optional(fractionOfCeiling, (share) => `${fixed(share * 100)} %`),
  ],
  [
    "speedup",
    ({ speedupOverDense, aboveByteLimit }) =>
      optional(speedupOverDense, (speedup) => `${fixed(speedup)}x${aboveByteLimit ? " !" : ""}`),
  ],
  ["limit", ({ byteLimitSpeedup }) => optional(byteLimitSpeedup, (speedup) => `${fixed(speedup)}x`)],
  ["tokens/s", ({ tokensPerSecond }) => optional(tokensPerSecond, fixed)],
];

/** The devices, a line each, and their rows, aligned; columns that no row fills are left out. */
export function rowsTable(devices: readonly BenchDevice[], rows: readonly BenchRow[]): string {
  const lines = devices.map(({ backend, name, host, ceiling }) =>
    `${backend}: ${name} (${host}); ceiling ${fixed(ceiling.gigabytesPerSecond)} GB/s: copies of ` +
    `${fixed(ceiling.bytes / 2 / 2 ** 20)} MiB, read and written\n`
  );
  const shapes = [...new Set(rows.map(({ backend, shape }) => `${backend}: ${shape}\n`))];
  const columns = TABLE.filter(([, cell]) => rows.some((row) => cell(row) !== null));
  const body = table(
    columns.map(([head]) => head),
    rows.map((row) => columns.map(([, cell]) => cell(row) ?? "-")),
  );
  return `${lines.join("")}${shapes.join("")}\n${body}${remarks(rows)}`;
}

function optional(value: number | null, text: (value: number) => string): string | null {
  return value === null ? null : text(value);
}

function remarks(rows: readonly BenchRow[]): string {
  const above = rows.some(({ aboveByteLimit }) => aboveByteLimit)
    ? "! above the byte limit: the dense step waits for something else than memory\n"
    : "";
  const synthetic = rows.some(({ filled }) => filled === "synthetic")
    ? "The cached tokens are random K and V of the calibration's means and deviations, not a prefill.\n"
    : "";
  return above + synthetic === "" ? "" : `\n${above}${synthetic}`;
}

/** Three digits that count, without an exponent. */
function fixed(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value === 0) return "0";
  const decimals = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toFixed(decimals);
}

function microseconds(us: number): string {
  if (us < 1000) return `${fixed(us)} us`;
  return us < 1e6 ? `${fixed(us / 1000)} ms` : `${fixed(us / 1e6)} s`;
}

/** All numbers of a row but its samples, which JSON has. */
const COLUMNS = [
  "backend",
  "device",
  "shape",
  "context",
  "mode",
  "medianUs",
  "p10Us",
  "p90Us",
  "samples",
  "bytes",
  "gigabytesPerSecond",
  "ceilingGigabytesPerSecond",
  "fractionOfCeiling",
  "speedupOverDense",
  "byteLimitSpeedup",
  "tokensPerSecond",
  "aboveByteLimit",
  "filled",
  "copies",
  "workingSetBytes",
  "warmups",
  "repeats",
] as const satisfies readonly (keyof BenchRow)[];

/** As RFC 4180 has it, but with plain line ends; what a row does not have is left empty. */
export function csvText(rows: readonly BenchRow[]): string {
  const line = (values: readonly unknown[]) =>
    `${values.map((value) => quoted(String(value ?? ""))).join(",")}\n`;
  return line(COLUMNS) + rows.map((row) => line(COLUMNS.map((column) => row[column]))).join("");
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
