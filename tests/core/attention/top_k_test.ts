import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { topK } from "../../../core/attention/top_k.ts";

test("topK() gives what sorting gives when values repeat", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 60 }),
      fc.nat(70),
      (values, k) => {
        const count = Math.max(1, Math.min(k, values.length));
        const out = new Int32Array(count);
        topK(Float64Array.from(values), values.length, count, out, new Float64Array(values.length));
        const expected = values.map((_, n) => n).sort((a, b) => values[b] - values[a] || a - b).slice(
          0,
          count,
        );
        assert.deepEqual([...out], expected.sort((a, b) => a - b));
      },
    ),
  );
});
