import assert from "node:assert/strict";
import { test } from "node:test";
import type { Calibration } from "../../calibrations/calibration.ts";
import type { ModelIdentity } from "../../calibrations/model_identity.ts";
import {
  bindToModel,
  describeRope,
  matchesModel,
  modelIdentity,
  requireMatch,
} from "../../calibrations/model_identity.ts";
import { DsError } from "../../core/errors.ts";
import { sampleCalibration, SHAPE } from "./sample.ts";

const made = sampleCalibration(1);
const identity = made.model as ModelIdentity;

const OTHERS: ModelIdentity[] = [
  { ...identity, family: "qwen2" },
  { ...identity, fingerprint: "f".repeat(64) },
  { ...identity, rope: "half-split base=500000 scaling=none" },
  { ...identity, numLayers: 4 },
  { ...identity, numHeads: 8 },
  { ...identity, numKvHeads: 1 },
  { ...identity, headDim: 16 },
];

test("matchesModel() needs every fact of the identity to agree", () => {
  assert.ok(matchesModel(made, { ...identity }));
  for (const other of OTHERS) assert.ok(!matchesModel(made, other), JSON.stringify(other));
});

test("matchesModel() compares an import without identity by shape", () => {
  const bare = sampleCalibration(1, "rankings");
  assert.deepEqual(OTHERS.map((other) => matchesModel(bare, other)), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

test("requireMatch() names both models and the file", () => {
  requireMatch(made, identity, "a.dscal");
  for (const other of OTHERS) {
    assert.throws(() => requireMatch(made, other, "a.dscal"), (error: unknown) => {
      assert.ok(error instanceof DsError && error.kind === "calibration-mismatch");
      assert.match(error.message, /a\.dscal/);
      for (const model of [identity, other]) {
        assert.ok(error.message.includes(model.fingerprint.slice(0, 16)));
        assert.ok(error.message.includes(model.rope));
        assert.ok(error.message.includes(`${model.numLayers} layers`));
      }
      return true;
    });
  }
});

test("bindToModel() gives an import its identity and refuses another shape", () => {
  const bare = sampleCalibration(1, "rankings");
  const bound: Calibration = bindToModel(bare, identity, "a.json");
  assert.deepEqual(bound.model, identity);
  assert.equal(bound.rankings, bare.rankings);
  assert.throws(() => bindToModel(bare, { ...identity, ...SHAPE, headDim: 16 }, "a.json"), DsError);
});

test("modelIdentity() tells rotary embeddings apart", () => {
  const scalings = [
    null,
    { type: "linear", factor: 4 },
    { type: "factors", factors: [1, 1.5, 2] },
    { type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 },
    {
      type: "yarn",
      factor: 4,
      betaFast: 32,
      betaSlow: 1,
      originalContext: 32768,
      attentionFactor: 1.1386294361119891,
      truncate: true,
    },
  ] as const;
  const texts = scalings.map((scaling) => describeRope({ base: 1e6, scaling }));
  assert.equal(new Set(texts).size, scalings.length);
  assert.equal(texts[0], "half-split base=1000000 scaling=none");
  assert.equal(texts[3], "half-split base=1000000 scaling=llama3(factor=8,low=1,high=4,original=8192)");
  const config = {
    architecture: "llama",
    ...SHAPE,
    hiddenSize: 32,
    ffnSize: 64,
    vocabSize: 100,
    contextLength: 512,
    rmsNormEpsilon: 1e-5,
    rope: { base: 10000, scaling: null },
    tiedEmbeddings: true,
    bosTokenId: 1,
    eosTokenIds: [2],
  };
  assert.deepEqual(modelIdentity(config as never, identity.fingerprint), identity);
});
