import process from "node:process";

/** Skips a test out loud: Deno's runner keeps the reason to itself, so it is written too, and `tests/run.ts` collects it. */
export function skip(test: { skip(reason?: string): void }, reason: string): void {
  process.stderr.write(`SKIPPED ${reason}\n`);
  test.skip(reason);
}
