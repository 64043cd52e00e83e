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
const RUN = RUNTIME === "deno" ? ["run", "-A", "--no-check"] : [];

/** Runs a task of deno.json by the shell, as the machine may have no Deno. @returns whether it succeeded */
export function task(name: string): boolean {
  const { tasks } = JSON.parse(readFileSync(`${ROOT}/deno.json`, "utf8")) as {
    readonly tasks: Readonly<Record<string, string>>;
  };
  return spawnSync("sh", ["-c", tasks[name]!], { cwd: ROOT, stdio: "inherit" }).status === 0;
}

/** Runs the conformance suite and a backend's own tests on the machine's GPU. @returns whether they passed */
export function conforms(backend: string, prefix: readonly string[] = []): boolean {
  const files = ["tests/conformance", `tests/backends/${backend}`].flatMap((folder) =>
    readdirSync(`${ROOT}/${folder}`).filter((name) => name.endsWith("_test.ts")).map((name) =>
      `./${folder}/${name}`
    )
  );
  const [program, ...first] = [...prefix, process.execPath];
  const env = { ...process.env, DS_TEST_GPU: "1" };
  const { status } = spawnSync(program!, [...first, ...TEST[RUNTIME]!, ...files], {
    cwd: ROOT,
    env,
    stdio: "inherit",
  });
  return status === 0;
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
