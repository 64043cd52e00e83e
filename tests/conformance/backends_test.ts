import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { BACKEND_NAMES } from "../../backends/mod.ts";
import { DsError } from "../../core/errors.ts";
import { skip } from "../support/skip.ts";
import { OPENERS } from "./backends.ts";

for (const { name, open } of OPENERS) {
  test(`the conformance suite runs on ${name}`, async (t) => {
    assert.ok((BACKEND_NAMES as readonly string[]).includes(name));
    try {
      const backend = await open();
      assert.equal(backend.name, name);
      // For `tests/run.ts`: what the suite was held to, said by the runtime it ran on.
      process.stderr.write(`BACKEND ${name}: ${backend.device.name}\n`);
      await backend.close();
    } catch (error) {
      if (!(error instanceof DsError && error.kind === "backend-unavailable")) throw error;
      skip(t, `backend ${name}: ${error.message}`);
    }
  });
}
