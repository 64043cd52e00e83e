import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const MODULE = new URL("../mod.ts", import.meta.url);

/** The TypeScript of the first fenced block of a doc comment. */
function exampleOf(source: string): string {
  const block = /```ts\n([\s\S]*?)```/.exec(source);
  assert.ok(block !== null, "mod.ts must show an example");
  return block[1].replace(/^ \* ?/gm, "");
}

test("the example of mod.ts runs as it stands and tells a story", { timeout: 120_000 }, () => {
  const example = exampleOf(readFileSync(MODULE, "utf8"));
  assert.match(example, /from "\.\/mod\.ts"/);
  const folder = mkdtempSync(join(tmpdir(), "ds-example-"));
  try {
    const path = join(folder, "example.ts");
    writeFileSync(path, example.replaceAll('"./mod.ts"', JSON.stringify(MODULE.href)));
    // The runtime that runs this test; Deno alone asks for permissions, and looks for the project from the file's folder.
    const config = fileURLToPath(new URL("../deno.json", import.meta.url));
    const parts = "Deno" in globalThis ? ["run", "-A", "--no-check", "--config", config, path] : [path];
    const { status, stdout, stderr } = spawnSync(process.execPath, parts, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^, there was a little girl named Lily\..*\n$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
