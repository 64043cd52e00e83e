import assert from "node:assert/strict";
import { test } from "node:test";
import { BACKEND_NAMES, backendStatus, openBackend } from "../../backends/mod.ts";
import { DsError } from "../../core/errors.ts";

test("openBackend() opens the reference by name, its calls checked", async () => {
  const backend = await openBackend("reference");
  assert.equal(backend.name, "reference");
  assert.throws(() => backend.alloc({ dtype: "f32", shape: [] }), RangeError);
  await backend.close();
});

test("openBackend() opens something on auto", async () => {
  const backend = await openBackend("auto");
  assert.ok((BACKEND_NAMES as readonly string[]).includes(backend.name));
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
