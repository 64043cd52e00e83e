import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseBlockVariants, probe } from "../../../backends/cpu/block_variants.ts";
import { DOT_PLAIN, DOT_RELAXED_16, DOT_RELAXED_32 } from "../../../backends/cpu/kernels/ops.ts";
import { skip } from "../../support/skip.ts";
import { withParts } from "./parts.ts";

test("without relaxed SIMD the plain kernels are chosen", () =>
  withParts(2, false, ({ isRelaxed, queue, memory }) => {
    assert.deepEqual(chooseBlockVariants(isRelaxed, queue, memory), { vector: DOT_PLAIN, matrix: DOT_PLAIN });
  }));

test("the probe tells the engine's dots apart, and one is chosen by it", (t) =>
  withParts(2, true, ({ isRelaxed, queue, memory }) => {
    if (!isRelaxed) return skip(t, "no relaxed SIMD in this engine");
    const found = probe(queue, memory);
    // Saturating pairs, unsigned weights, signed weights.
    assert.ok([65534, 129540, -508].includes(found), `${found}`);
    const dot = found === 65534 ? DOT_RELAXED_16 : DOT_RELAXED_32;
    assert.deepEqual(chooseBlockVariants(true, queue, memory), { vector: dot, matrix: dot });
  }));
