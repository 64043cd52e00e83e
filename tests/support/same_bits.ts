import assert from "node:assert/strict";

/** As `deepEqual`, which takes minutes to print where two long arrays differ. */
export function assertSameBits(found: Float32Array, wanted: Float32Array, what = ""): void {
  assert.equal(found.length, wanted.length, what);
  const at = found.findIndex((value, i) => !Object.is(value, wanted[i]));
  if (at >= 0) assert.fail(`${what} [${at}]: found ${found[at]}, wanted ${wanted[at]}`);
}
