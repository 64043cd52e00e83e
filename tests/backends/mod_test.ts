import assert from "node:assert/strict";
import { test } from "node:test";
import { BACKEND_NAMES, backendStatus, openBackend } from "../../backends/mod.ts";
import { DsError } from "../../core/errors.ts";
import { skip } from "../support/skip.ts";

test("openBackend() opens the reference by name, its calls checked", async () => {
  const backend = await openBackend("reference");
  assert.equal(backend.name, "reference");
  assert.throws(() => backend.alloc({ dtype: "f32", shape: [] }), RangeError);
  await backend.close();
});

test("openBackend() opens the best that works here on auto", async () => {
  const best = (await backendStatus({ software: false })).find(({ available }) => available)!;
  const backend = await openBackend("auto");
  assert.equal(backend.name, best.name);
  await backend.close();
});

test("openBackend() hands the number of threads to the backend that takes one", async (t) => {
  const cpu = (await backendStatus({ threads: 3 })).find(({ name }) => name === "cpu")!;
  if (!cpu.available) return skip(t, cpu.reason!);
  assert.match(cpu.device!, / 3 threads$/);
  const backend = await openBackend("cpu", { threads: 1 });
  assert.match(backend.device.name, / 1 thread$/);
  await backend.close();
});

test("backendStatus() has a device or a reason for every backend", async () => {
  const all = await backendStatus();
  assert.deepEqual(all.map(({ name }) => name), BACKEND_NAMES);
  for (const { available, device, reason } of all) {
    assert.ok(available ? device !== null && reason === null : device === null && reason !== null);
  }
  assert.ok(all.some(({ name, available }) => name === "reference" && available));
});

test("openBackend() says why a backend is absent and what to use", async () => {
  for (const { name, available, reason } of await backendStatus()) {
    if (available) continue;
    await assert.rejects(openBackend(name), (error: unknown) => {
      assert.ok(error instanceof DsError && error.kind === "backend-unavailable");
      assert.equal(error.message, reason);
      assert.match(error.message, new RegExp(`^Cannot open backend "${name}" as .*: .*`));
      return true;
    });
  }
});
