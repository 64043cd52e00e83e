import assert from "node:assert/strict";
import { test } from "node:test";
import { openCpu } from "../../../backends/cpu/backend.ts";
import { provideWorker } from "../../../backends/cpu/pool.ts";
import { DsError } from "../../../core/errors.ts";

const WORKER = new URL("../../../backends/cpu/worker.ts", import.meta.url);

test("openCpu() is refused instead of waiting for ever when a worker cannot start", async () => {
  provideWorker(new URL("./no_such_worker.ts", import.meta.url));
  try {
    await assert.rejects(openCpu({ threads: 2 }), (error: unknown) => {
      assert.ok(error instanceof DsError && error.kind === "backend-unavailable", String(error));
      assert.match(error.message, /2 threads as a worker cannot start: .*use --threads 1/s);
      return true;
    });
    const alone = await openCpu({ threads: 1 });
    await alone.close();
  } finally {
    provideWorker(WORKER);
  }
});

test("openCpu() names the threads it was given, and closes with all of them", async () => {
  for (const threads of [1, 2, 3]) {
    const backend = await openCpu({ threads });
    assert.match(backend.device.name, new RegExp(`WebAssembly SIMD.*, ${threads} threads?$`));
    await backend.close();
  }
});
