import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { skip } from "../support/skip.ts";
import { OWN_ENVIRONMENT } from "./fake_process.ts";
import denoJson from "../../deno.json" with { type: "json" };

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

interface Doctor {
  readonly runtime: string;
  readonly backends: readonly { readonly name: string; readonly device: string; readonly selfTest: string }[];
}

test("the single executable computes on every backend, with threads, from a folder of its own", (t) => {
  if (!("Deno" in globalThis)) return skip(t, "the single executable is built by the tests on Deno alone");
  const folder = mkdtempSync(join(tmpdir(), "ds-binary-"));
  try {
    const command = denoJson.tasks.compile.replace("dist/ds", join(folder, "ds"));
    const built = spawnSync(command, { cwd: ROOT, shell: true, encoding: "utf8" });
    assert.equal(built.status, 0, built.stderr);
    const env = { ...process.env, ...OWN_ENVIRONMENT };
    const ds = (...argv: string[]) =>
      spawnSync(join(folder, "ds"), argv, { cwd: folder, env, encoding: "utf8", timeout: 60_000 });
    const doctor = ds("doctor", "--json");
    assert.equal(doctor.status, 0, doctor.stderr);
    const { runtime, backends } = JSON.parse(doctor.stdout) as Doctor;
    assert.match(runtime, /^Bun /);
    assert.match(backends.find(({ name }) => name === "cpu")!.device, /WebAssembly SIMD/);
    const run = ds(
      "run",
      "Once upon a time",
      "--model",
      "stories260k",
      "--attention",
      "dense",
      "--threads",
      "2",
    );
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /^, there was a little girl named/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
