import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { findCudaLibrary, type Surroundings } from "../../../backends/cuda/library_path.ts";
import { DsError } from "../../../core/errors.ts";

const BUILT = resolve("backends/cuda/build/libds_cuda.so");
const FLAG = resolve("/flag/one.so");
const VARIABLE = resolve("/variable/two.so");
const BESIDE = resolve("/opt/ds/libds_cuda.so");

function around(there: readonly string[], more: Partial<Surroundings> = {}): Surroundings {
  const executable = resolve("/opt/ds/ds");
  return { environment: {}, platform: "linux", executable, exists: (path) => there.includes(path), ...more };
}

function refusal(named: string | undefined, surroundings: Surroundings): string {
  let message = "";
  assert.throws(() => findCudaLibrary(named, surroundings), (error: unknown) => {
    assert.ok(error instanceof DsError && error.kind === "backend-unavailable");
    message = error.message;
    return true;
  });
  assert.match(message, /^Cannot open backend "cuda" as .*: .*/);
  return message;
}

test("findCudaLibrary() takes the flag, the variable, the program's folder and the build folder in this order", () => {
  const environment = { DS_CUDA_LIBRARY: "/variable/two.so" };
  const all = [FLAG, VARIABLE, BESIDE, BUILT];
  assert.equal(findCudaLibrary("/flag/one.so", around(all, { environment })), FLAG);
  assert.equal(findCudaLibrary(undefined, around(all, { environment })), VARIABLE);
  assert.equal(findCudaLibrary(undefined, around(all, { environment: { DS_CUDA_LIBRARY: "" } })), BESIDE);
  assert.equal(findCudaLibrary(undefined, around(all)), BESIDE);
  assert.equal(findCudaLibrary(undefined, around([BUILT])), BUILT);
});

test("findCudaLibrary() takes a bare name for a file here, not for one of the system's", () => {
  assert.equal(findCudaLibrary("my.so", around([resolve("my.so")])), resolve("my.so"));
});

test("findCudaLibrary() refuses what is named and not there, whatever lies elsewhere", () => {
  const others = around([BESIDE, BUILT]);
  assert.ok(refusal("/flag/one.so", others).includes(`${FLAG} does not exist`));
  const environment = { DS_CUDA_LIBRARY: "/variable/two.so" };
  const message = refusal(undefined, { ...others, environment });
  assert.ok(message.includes(`${VARIABLE} does not exist`));
  assert.match(message, /--cuda-library and DS_CUDA_LIBRARY .* deno task build:cuda/);
});

test("findCudaLibrary() names every place it looked at, and how to get the library", () => {
  const message = refusal(undefined, around([]));
  for (const place of [BESIDE, BUILT]) assert.ok(message.includes(place), message);
  assert.match(message, /deno task build:cuda, or name it with --cuda-library or DS_CUDA_LIBRARY$/);
});

test("findCudaLibrary() knows the name on Windows, and that macOS has no CUDA", () => {
  assert.match(refusal(undefined, around([], { platform: "win32" })), /ds_cuda\.dll/);
  const mac = around([FLAG, BUILT], { platform: "darwin" });
  assert.match(refusal(undefined, mac), /macOS has no CUDA/);
  // It may be the kernels for the host's processor.
  assert.equal(findCudaLibrary("/flag/one.so", mac), FLAG);
});
