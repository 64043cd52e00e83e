import assert from "node:assert/strict";
import { test } from "node:test";
import { DsError } from "../../../core/errors.ts";
import { huggingFaceModel } from "../../../core/formats/huggingface_config.ts";
import { TINY_SIZES, tinyHuggingFaceConfig } from "../../support/tiny_llama.ts";

const base = tinyHuggingFaceConfig(TINY_SIZES);

function read(changes: Record<string, unknown> = {}, generation: Record<string, unknown> | null = null) {
  const json = JSON.parse(JSON.stringify({ ...base, ...changes }));
  return huggingFaceModel(json, generation, "config.json");
}

function refuses(
  changes: Record<string, unknown>,
  message: RegExp,
  generation: Record<string, unknown> | null = null,
) {
  assert.throws(() => read(changes, generation), (error) => {
    assert.ok(error instanceof DsError, String(error));
    assert.equal(error.kind, "bad-data");
    assert.match(error.message, message);
    return true;
  });
}

const ropeOf = (changes: Record<string, unknown>) => read(changes).config.rope;

test("huggingFaceModel() reads a Llama configuration", () => {
  const { config, biases } = read();
  assert.deepEqual(config, {
    architecture: "llama",
    numLayers: 2,
    hiddenSize: 32,
    ffnSize: 48,
    vocabSize: 288,
    numHeads: 4,
    numKvHeads: 2,
    headDim: 8,
    contextLength: 64,
    rmsNormEpsilon: 1e-5,
    rope: { base: 10000, scaling: null },
    tiedEmbeddings: true,
    bosTokenId: 1,
    eosTokenIds: [2],
  });
  assert.equal(biases.size, 0);
});

test("huggingFaceModel() fills in what configurations leave out", () => {
  const { config } = read({
    head_dim: undefined,
    num_key_value_heads: null,
    tie_word_embeddings: undefined,
    rope_theta: undefined,
  });
  assert.equal(config.headDim, 8);
  assert.equal(config.numKvHeads, 4);
  assert.equal(config.tiedEmbeddings, false);
  assert.equal(config.rope.base, 10000);
  assert.equal(read({ bos_token_id: null, eos_token_id: null }).config.bosTokenId, null);
  assert.equal(read({ head_dim: 16 }).config.headDim, 16);
});

test("huggingFaceModel() takes end tokens from the generation configuration before the model's", () => {
  assert.deepEqual(read({ eos_token_id: [2, 5, 2] }).config.eosTokenIds, [2, 5]);
  assert.deepEqual(read({}, { eos_token_id: [7, 8] }).config.eosTokenIds, [7, 8]);
  assert.deepEqual(read({}, { eos_token_id: 9 }).config.eosTokenIds, [9]);
  assert.deepEqual(read({}, {}).config.eosTokenIds, [2]);
  refuses({}, /eos_token_id/, { eos_token_id: "2" });
  refuses({}, /EOS token id/, { eos_token_id: [288] });
  refuses({ eos_token_id: -1 }, /EOS token id/);
  refuses({ bos_token_id: 999 }, /BOS token id/);
});

test("huggingFaceModel() knows which projections have biases", () => {
  assert.deepEqual([...read({ attention_bias: true }).biases], ["q", "k", "v", "o"]);
  assert.deepEqual([...read({ mlp_bias: true }).biases], ["gate", "up", "down"]);
  const qwen2 = { model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] };
  assert.deepEqual([...read({ ...qwen2, use_sliding_window: false, sliding_window: 16 }).biases], [
    "q",
    "k",
    "v",
  ]);
});

test("huggingFaceModel() reads rope scaling under its older and newer keys", () => {
  const linear = { base: 10000, scaling: { type: "linear", factor: 4 } };
  assert.deepEqual(ropeOf({ rope_scaling: { type: "linear", factor: 4 } }), linear);
  assert.deepEqual(ropeOf({ rope_scaling: { rope_type: "linear", factor: 4 } }), linear);
  assert.deepEqual(ropeOf({ rope_scaling: { rope_type: "linear", type: "linear", factor: 4 } }), linear);
  assert.deepEqual(
    ropeOf({ rope_theta: undefined, rope_parameters: { rope_type: "linear", factor: 4, rope_theta: 5e5 } }),
    {
      ...linear,
      base: 5e5,
    },
  );
  assert.deepEqual(ropeOf({ rope_parameters: { rope_type: "default", rope_theta: 7e4 } }), {
    base: 7e4,
    scaling: null,
  });
  refuses(
    { rope_scaling: { rope_type: "linear", type: "yarn", factor: 4 } },
    /rope_type "linear" and type "yarn"/,
  );
});

test("huggingFaceModel() reads llama3 scaling", () => {
  const given = {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 16,
  };
  assert.deepEqual(ropeOf({ rope_scaling: given }).scaling, {
    type: "llama3",
    factor: 8,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContext: 16,
  });
  for (const key of Object.keys(given).slice(1)) {
    refuses({ rope_scaling: { ...given, [key]: undefined } }, new RegExp(key));
  }
  refuses({ rope_scaling: { ...given, high_freq_factor: 1 } }, /high_freq_factor/);
});

test("huggingFaceModel() reads yarn scaling and its rule for the attention factor", () => {
  const yarn = (more: Record<string, unknown> = {}) => {
    const { config } = read({ rope_scaling: { type: "yarn", factor: 4, ...more } });
    assert.equal(config.rope.scaling?.type, "yarn");
    return { ...config.rope.scaling, contextLength: config.contextLength };
  };
  const plain = yarn();
  assert.ok(Math.abs(plain.attentionFactor - (0.1 * Math.log(4) + 1)) < 1e-15);
  assert.deepEqual({ ...plain, attentionFactor: 0 }, {
    type: "yarn",
    factor: 4,
    betaFast: 32,
    betaSlow: 1,
    originalContext: 64,
    attentionFactor: 0,
    truncate: true,
    contextLength: 256,
  });
  assert.equal(yarn({ attention_factor: 1.5 }).attentionFactor, 1.5);
  const ratio = yarn({ mscale: 2, mscale_all_dim: 0.5 }).attentionFactor;
  assert.ok(Math.abs(ratio - (0.2 * Math.log(4) + 1) / (0.05 * Math.log(4) + 1)) < 1e-15);
  assert.equal(yarn({ mscale: 2 }).attentionFactor, plain.attentionFactor);
  assert.equal(yarn({ factor: 1 }).attentionFactor, 1);
  assert.equal(yarn({ original_max_position_embeddings: 16 }).contextLength, 64);
  assert.equal(yarn({ truncate: false }).truncate, false);
});

test("huggingFaceModel() refuses other networks by name", () => {
  refuses({ model_type: "gemma2" }, /"gemma2" is not supported: ds knows llama/);
  refuses({ model_type: undefined }, /nothing is not supported/);
  refuses({ model_type: "constructor" }, /"constructor"/);
  refuses({ architectures: ["LlamaForSequenceClassification"] }, /LlamaForSequenceClassification/);
  refuses({ hidden_act: "gelu" }, /"gelu" is not supported: ds knows silu/);
  refuses({ quantization_config: { quant_method: "gptq" } }, /"gptq"/);
  refuses({ partial_rotary_factor: 0.5 }, /partial_rotary_factor/);
  refuses({ layer_types: ["full_attention", "sliding_attention"] }, /layer_types/);
  for (const type of ["dynamic", "longrope", "su", "mrope"]) {
    refuses({ rope_scaling: { type, factor: 2 } }, new RegExp(`rope type "${type}" is not supported`));
  }
  refuses({ rope_scaling: { factor: 4, rope_type: 3 } }, /rope type 3/);
  refuses({
    rope_parameters: { full_attention: { rope_type: "linear", factor: 2 }, rope_type: "proportional" },
  }, /"proportional"/);
});

test("huggingFaceModel() refuses sliding windows that would cut the context", () => {
  const mistral = { model_type: "mistral", architectures: ["MistralForCausalLM"] };
  refuses({ ...mistral, sliding_window: 24 }, /window of 24 tokens/);
  assert.equal(read({ ...mistral, sliding_window: null }).config.architecture, "mistral");
  assert.equal(read({ ...mistral, sliding_window: 64 }).config.contextLength, 64);
  const qwen2 = { model_type: "qwen2", architectures: null };
  refuses({ ...qwen2, use_sliding_window: true, sliding_window: 16 }, /window of 16/);
});

test("huggingFaceModel() refuses sizes no model has", () => {
  const sizes = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
  ];
  for (const key of sizes) {
    for (const value of [0, -1, 1.5, "8", 1e12, 2 ** 60, null, [], true]) refuses({ [key]: value }, /./);
  }
  refuses({ num_key_value_heads: 3 }, /divide evenly/);
  refuses({ num_key_value_heads: 0 }, /num_key_value_heads/);
  refuses({ head_dim: 7 }, /even/);
  refuses({ head_dim: undefined, num_attention_heads: 5 }, /head_dim/);
  refuses({ v_head_dim: 16 }, /v_head_dim/);
  refuses({ rms_norm_eps: -1 }, /epsilon/);
  refuses({ rms_norm_eps: "1e-5" }, /rms_norm_eps/);
  refuses({ rope_theta: 0 }, /rope base/);
  for (const factor of [0, -4, 0.5, 1e9, "4", null]) {
    refuses({ rope_scaling: { type: "linear", factor } }, /factor/);
  }
});
