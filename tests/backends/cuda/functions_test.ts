import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { STATUS } from "../../../backends/cuda/faults.ts";
import { FUNCTIONS } from "../../../backends/cuda/functions.ts";
import { ABI_VERSION } from "../../../backends/cuda/library.ts";

const header = readFileSync(new URL("../../../backends/cuda/native/ds.h", import.meta.url), "utf8");

/** The letter of a parameter as C declares it; handles have one letter here, whatever becomes of what they name. */
function letterOf(parameter: string): string {
  if (/^(const )?ds_(stream|tensor|mark|recording) \*\w+$/.test(parameter)) return "h";
  if (/\*/.test(parameter)) return "p";
  const type = parameter.split(" ")[0]!;
  return { int32_t: "i", int64_t: "l", float: "f" }[type] ?? `? ${parameter}`;
}

test("the functions are those of native/ds.h, with the same arguments", () => {
  const declared = [...header.matchAll(/DS_API ds_status ds_(\w+)\(([^)]*)\)/g)].map((
    [, name, parameters],
  ) => [
    name,
    parameters!.split(",").map((one) => letterOf(one.replace(/\s+/g, " ").trim())).join(""),
  ]);
  const known = Object.entries(FUNCTIONS).map(([name, letters]) => [name, letters.replace(/[wo]/g, "h")]);
  assert.deepEqual(Object.fromEntries(known), Object.fromEntries(declared));
});

test("the version and the statuses are those of native/ds.h", () => {
  assert.equal(ABI_VERSION, Number(/#define DS_ABI_VERSION (\d+)/.exec(header)![1]));
  const names = { ok: "OK", invalid: "INVALID", outOfMemory: "OUT_OF_MEMORY", unavailable: "UNAVAILABLE" };
  for (const [name, c] of Object.entries({ ...names, failed: "FAILED", stale: "STALE" })) {
    const [, value] = new RegExp(`DS_${c} = (\\d+)`).exec(header)!;
    assert.equal(STATUS[name as keyof typeof STATUS], Number(value), name);
  }
});
