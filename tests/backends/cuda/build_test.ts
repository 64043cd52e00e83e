import assert from "node:assert/strict";
import { test } from "node:test";
import { openCuda } from "../../../backends/cuda/backend.ts";
import { loadCudaLibrary } from "../../../backends/cuda/library.ts";
import { DsError } from "../../../core/errors.ts";
import { ds, TINY } from "../../cli/fake_process.ts";
import { builtCuda } from "../../support/nvcc.ts";
import { skip } from "../../support/skip.ts";

test("libds_cuda is built by nvcc, loads, and has every function in the version asked for", async (t) => {
  const built = builtCuda();
  if (typeof built === "string") return skip(t, built);
  assert.equal((await loadCudaLibrary(built.library)).path, built.library);
});

test("a machine without a GPU is told what is missing, by doctor and with 69", async (t) => {
  const built = builtCuda();
  if (typeof built === "string") return skip(t, built);
  const reason = await openCuda({ cudaLibrary: built.library }).then(
    async (backend) => {
      await backend.close();
      return null;
    },
    (error: DsError) => error.message,
  );
  if (reason === null) return skip(t, "this machine has a GPU that CUDA reaches");
  assert.match(
    reason,
    /Cannot use CUDA: it needs an NVIDIA GPU and its driver, and (no NVIDIA driver is installed|the driver )/,
  );
  const flags = ["--cuda-library", built.library];
  const { code, err } = await ds(["run", "x", ...TINY, "--backend", "cuda", ...flags]);
  assert.equal(code, 69);
  assert.ok(err.includes(reason), err);
  const doctor = await ds(["doctor", "--json", ...flags]);
  assert.ok(JSON.stringify(JSON.parse(doctor.out)).includes(JSON.stringify(reason).slice(1, -1)), doctor.out);
});
