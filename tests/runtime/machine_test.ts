import assert from "node:assert/strict";
import { availableParallelism, totalmem } from "node:os";
import { test } from "node:test";
import { copyBandwidth, describeRuntime, runtimeName } from "../../runtime/machine.ts";

test("runtimeName() names the runtime that runs this", () => {
  const expected = "Deno" in globalThis ? "Deno" : "Bun" in globalThis ? "Bun" : "Node";
  assert.match(runtimeName(), new RegExp(`^${expected} \\d+\\.\\d+\\.\\d+`));
});

test("describeRuntime() stays within what the system says", () => {
  const facts = describeRuntime();
  assert.ok(facts.cpus >= 1 && facts.cpus <= availableParallelism());
  assert.ok(facts.totalMemory > 2 ** 26 && facts.totalMemory <= totalmem());
  assert.ok(facts.freeMemory > 0 && facts.freeMemory <= facts.totalMemory);
  assert.ok(facts.os.startsWith(process.platform) && facts.arch === process.arch && facts.cpuModel !== "");
});

test("copyBandwidth() counts read and written bytes per second", () => {
  const rate = copyBandwidth({ bytes: 2 ** 26, runs: 5 });
  assert.ok(rate > 2e8 && rate < 2e13, `${rate}`);
  for (const options of [{ bytes: 0 }, { bytes: 2 ** 31 }, { runs: 0 }, { runs: 1.5 }]) {
    assert.throws(() => copyBandwidth(options), RangeError);
  }
});
