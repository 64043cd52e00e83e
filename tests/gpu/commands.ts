import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RUNTIME = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
const TEST: Record<string, readonly string[]> = {
  deno: ["test", "-A", "--no-check"],
  bun: ["test", "--timeout", "120000"],
  node: ["--test"],
};
/** Only tests whose names match. */
const FILTER: Record<string, (pattern: string) => readonly string[]> = {
  deno: (pattern) => ["--filter", `/${pattern}/`],
  bun: (pattern) => ["-t", pattern],
  node: (pattern) => ["--test-name-pattern", pattern],
};
const RUN = RUNTIME === "deno" ? ["run", "-A", "--no-check"] : [];

/** Runs a task of deno.json by the shell, as the machine may have no Deno. @returns whether it succeeded */
export function task(name: string): boolean {
  const { tasks } = JSON.parse(readFileSync(`${ROOT}/deno.json`, "utf8")) as {
    readonly tasks: Readonly<Record<string, string>>;
  };
  return spawnSync("sh", ["-c", tasks[name]!], { cwd: ROOT, stdio: "inherit" }).status === 0;
}

/**
 * Runs the conformance suite and a backend's own tests on the machine's GPU.
 *
 * @param prefix a program that runs them and what it is told, "compute-sanitizer" say
 * @returns whether they passed
 */
export function conforms(backend: string, prefix: readonly string[] = []): boolean {
  const ofBackend = [...FILTER[RUNTIME]!(`(on|with) ${backend}|\\(${backend}\\)`)];
  return tests(prefix, "tests/conformance", ofBackend) && tests(prefix, `tests/backends/${backend}`, []);
}

function tests(prefix: readonly string[], folder: string, filter: readonly string[]): boolean {
  const files = readdirSync(`${ROOT}/${folder}`).filter((name) => name.endsWith("_test.ts"));
  const [program, ...first] = [...prefix, process.execPath];
  const argv = [...first, ...TEST[RUNTIME]!, ...filter, ...files.map((name) => `./${folder}/${name}`)];
  const env = { ...process.env, DS_TEST_GPU: "1" };
  return spawnSync(program!, argv, { cwd: ROOT, env, stdio: "inherit" }).status === 0;
}

/** Runs ds. @returns what it printed, or null where it failed, which it has said itself */
export function ds(argv: readonly string[]): string | null {
  const { status, stdout } = spawnSync(process.execPath, [...RUN, "cli/main.ts", ...argv], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (!argv.includes("--json")) console.log(stdout);
  return status === 0 ? stdout : null;
}

/** What `ds bench` says of one row, as far as it is reported here. */
export interface BenchRow {
  readonly context: number;
  readonly mode: string;
  readonly medianUs: number;
  readonly fractionOfCeiling: number | null;
  readonly gigabytesPerSecond: number | null;
  readonly speedupOverDense: number | null;
  readonly byteLimitSpeedup: number | null;
  readonly tokensPerSecond: number | null;
  readonly clock: string;
}

export interface BenchRecord {
  readonly rows: readonly BenchRow[];
}

/** `ds bench` on one backend. @returns null where it failed */
export function bench(backend: string, argv: readonly string[]): BenchRecord | null {
  const text = ds(["bench", ...argv, "--backends", backend, "--json"]);
  return text === null ? null : JSON.parse(text) as BenchRecord;
}
