import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { platform } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FOLDER, OWN_ENVIRONMENT, pathOf } from "./fake_process.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const ENVIRONMENT = {
  ...process.env,
  ...OWN_ENVIRONMENT,
  DS_MODEL: "stories260k",
  DS_BACKEND: "reference",
  DS_ATTENTION: "dense",
};

/** Starts ds as a user would, on the runtime these tests run on. */
function start(...argv: string[]): ChildProcess {
  const isDeno = "Deno" in globalThis;
  return spawn(process.execPath, [...(isDeno ? ["run", "-A", "--no-check"] : []), MAIN, ...argv], {
    env: ENVIRONMENT,
    cwd: FOLDER,
  });
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

function collect(child: ChildProcess): Promise<Ended> {
  let out = "";
  let err = "";
  child.stdout!.on("data", (chunk) => out += chunk);
  child.stderr!.on("data", (chunk) => err += chunk);
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, out, err })));
}

test("ds run reads its prompt from a pipe", async () => {
  const child = start("run", "--max-tokens", "5");
  child.stdin!.end("Once upon a time\n");
  const { code, out, err } = await collect(child);
  assert.equal(code, 0, err);
  assert.match(out, /^, there was .*\n$/);
});

test("ds run takes a pipe that was closed at once as no prompt", async () => {
  const child = start("run");
  child.stdin!.end();
  const { code, err } = await collect(child);
  assert.equal(code, 2);
  assert.match(err, /^ds: Cannot run an empty prompt/);
});

test("ds ends with the documented code and one sentence when something is refused", async () => {
  const [usage, missing] = await Promise.all([
    collect(start("run", "hi", "--sparsty", "1")),
    collect(start("inspect", "nowhere")),
  ]);
  assert.deepEqual([usage.code, missing.code], [2, 66]);
  for (const { out, err } of [usage, missing]) {
    assert.equal(out, "");
    assert.match(err, /^ds: [^\n]*\n$/);
  }
});

test("ds run ends quietly when its reader goes away", async () => {
  const child = start("run", "Once upon a time", "--max-tokens", "450");
  let err = "";
  child.stderr!.on("data", (chunk) => err += chunk);
  child.stdout!.once("data", () => child.stdout!.destroy());
  const [code] = await new Promise<[number | null]>((resolve) =>
    child.on("close", (status) => resolve([status]))
  );
  assert.equal(code, 0, err);
  assert.doesNotMatch(err, /EPIPE|at /);
});

test(
  "ds run ends with 130 on Ctrl-C and 143 on SIGTERM, its text whole",
  { skip: platform() === "win32" },
  async () => {
    for (const [name, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const child = start("run", "Once upon a time", "--max-tokens", "450");
      // Deno's child.kill() makes it report the signal where the child ended by itself.
      child.stdout!.once("data", () => process.kill(child.pid!, name));
      const ended = await collect(child);
      assert.equal(ended.code, code, ended.err);
      assert.match(ended.out, /^,.*\n$/s);
      assert.match(ended.err, /\(aborted\)/);
    }
  },
);

test("ds calibrate leaves no file when it is interrupted", { skip: platform() === "win32" }, async () => {
  const child = start("calibrate", "--block", "500", "--tokens", "2k", "--out", "interrupted.dscal");
  const ended = collect(child);
  const until = performance.now() + 20_000;
  while (!existsSync(pathOf("interrupted.dscal.lock")) && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  process.kill(child.pid!, "SIGINT");
  const { code, out } = await ended;
  assert.deepEqual([code, out], [130, ""]);
  assert.equal(existsSync(pathOf("interrupted.dscal")), false);
  assert.equal(existsSync(pathOf("interrupted.dscal.lock")), false);
});

test("ds --help is quick and keeps nothing running", async () => {
  const { code, out } = await collect(start("--help"));
  assert.equal(code, 0);
  assert.match(out, /Usage: ds COMMAND/);
});
