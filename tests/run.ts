/**
 * Runs the suite on one runtime and ends with what really ran: `run.ts [deno|bun|node] [files...]`. Started by the tasks
 * `test`, `test:bun` and `test:node`; Bun and Node come from npm.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { BACKEND_NAMES } from "../backends/mod.ts";
import { OPENERS } from "./conformance/backends.ts";
import { useTestCuda } from "./support/cuda.ts";
import { builtCuda } from "./support/nvcc.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const [runtime = "deno", ...chosen] = process.argv.slice(2);

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name === "node_modules") return [];
    return entry.isDirectory()
      ? testFiles(path)
      : entry.name.endsWith("_test.ts")
      ? [relative(root, path)]
      : [];
  });
}

const files = chosen.length > 0 ? chosen : testFiles(join(root, "tests"));
const COMMANDS: Record<string, string[]> = {
  deno: [
    "npx",
    "-y",
    "deno@2.9",
    "test",
    "-A",
    "--no-check",
    "--parallel",
    ...files,
  ],
  bun: [
    "npx",
    "-y",
    "bun@1.4",
    "test",
    "--timeout",
    "120000",
    ...files.map((file) => `./${file}`),
  ],
  node: ["npx", "-y", "node@24", "--test", "--test-concurrency=2", ...files],
};
const command = COMMANDS[runtime];
if (command === undefined) {
  console.error(
    `Cannot test on ${runtime}: choose ${Object.keys(COMMANDS).join(", ")}`,
  );
  process.exit(2);
}

// What has to be compiled is, before any test's time is counted.
useTestCuda();
builtCuda();

const started = performance.now();
const skipped = new Set<string>();
const backends = new Set<string>();
const child = spawn(command[0], command.slice(1), { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
for (const [stream, out] of [[child.stdout, process.stdout], [child.stderr, process.stderr]] as const) {
  let line = "";
  stream.on("data", (bytes: Uint8Array) => {
    out.write(bytes);
    line += new TextDecoder().decode(bytes);
    const lines = line.split("\n");
    line = lines.pop() ?? "";
    for (const text of lines) {
      const reason = /\bSKIPPED (.+)$/.exec(text);
      if (reason !== null) skipped.add(reason[1].trim());
      const backend = /\bBACKEND (.+)$/.exec(text);
      if (backend !== null) backends.add(backend[1].trim());
    }
  });
}
const code: number = await new Promise((resolve) => {
  child.on("close", (status: number | null) => resolve(status ?? 1));
  child.on("error", () => resolve(1));
});

console.log(
  `\n${code === 0 ? "passed" : "FAILED"} on ${runtime}: ${files.length} files in ${
    ((performance.now() - started) / 1000).toFixed(0)
  } s`,
);
for (const reason of skipped) console.log(`skipped: ${reason}`);
for (const backend of [...backends].sort()) console.log(`conformance ran on backend ${backend}`);
const absent = BACKEND_NAMES.filter((name) => !OPENERS.some((opener) => opener.name === name));
if (absent.length > 0) console.log(`not in this build: ${absent.join(", ")}`);
process.exit(code);
