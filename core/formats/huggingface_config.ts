import type { ModelConfig } from "../config.ts";
import { badData } from "../errors.ts";
import { checkConfig } from "./config_check.ts";
import { Facts } from "./facts.ts";
import { ropeOf } from "./huggingface_rope.ts";
import type { Projection } from "./model_tensors.ts";
import { describe, quote } from "../quote.ts";
import { type JsonObject, own } from "./strict_json.ts";

/** Model types whose network is Llama's, give or take bias vectors. */
const FAMILIES = ["llama", "mistral", "qwen2"] as const;
type Family = (typeof FAMILIES)[number];

export interface HuggingFaceModel {
  readonly config: ModelConfig;
  /** Projections that have a bias vector. */
  readonly biases: ReadonlySet<Projection>;
}

/**
 * What `config.json` says, with the end tokens of `generation_config.json` where that exists. What ds does not compute
 * is refused by name.
 *
 * @throws {DsError} kind "bad-data"
 */
export function huggingFaceModel(
  json: JsonObject,
  generation: JsonObject | null,
  file: string,
): HuggingFaceModel {
  const facts = new Facts(file, (key) => own(json, key));
  const family = familyOf(json, facts);
  refuseOtherNetworks(family, json, facts);

  const hiddenSize = facts.positive("hidden_size");
  const numHeads = facts.positive("num_attention_heads");
  const headDim = facts.has("head_dim") ? facts.positive("head_dim") : hiddenSize / numHeads;
  if (!Number.isInteger(headDim)) {
    throw badData(file, `it has no head_dim, and ${numHeads} heads do not divide hidden_size ${hiddenSize}`);
  }
  for (const key of ["v_head_dim", "qk_head_dim"]) {
    if (facts.integer(key, headDim) !== headDim) {
      throw facts.refuse(key, `head_dim, ${headDim}: keys and values have one size`, facts.raw(key));
    }
  }
  const rope = ropeOf(json, facts);
  const config: ModelConfig = {
    architecture: family,
    numLayers: facts.positive("num_hidden_layers"),
    hiddenSize,
    ffnSize: facts.positive("intermediate_size"),
    vocabSize: facts.positive("vocab_size"),
    numHeads,
    numKvHeads: facts.positive("num_key_value_heads", numHeads),
    headDim,
    contextLength: contextOf(facts, rope.scaling),
    rmsNormEpsilon: facts.real("rms_norm_eps", 1e-6),
    rope,
    tiedEmbeddings: facts.flag("tie_word_embeddings", false),
    bosTokenId: facts.has("bos_token_id") ? facts.integer("bos_token_id") : null,
    eosTokenIds: endTokens(json, generation, facts),
  };
  return { config: checkConfig(config, file), biases: biasesOf(family, facts) };
}

function familyOf(json: JsonObject, facts: Facts): Family {
  const type = own(json, "model_type");
  const family = FAMILIES.find((name) => name === type);
  if (family === undefined) {
    throw badData(
      facts.file,
      `its model_type ${describe(type)} is not supported: ds knows ${FAMILIES.join(", ")}`,
    );
  }
  const architectures = own(json, "architectures") ?? null;
  const wanted = `${family}ForCausalLM`.toLowerCase();
  const names = Array.isArray(architectures) ? architectures : [architectures];
  const fits = names.some((name) => typeof name === "string" && name.toLowerCase() === wanted);
  if (architectures !== null && !fits) {
    throw badData(
      facts.file,
      `its architecture ${
        describe(names[0])
      } is not supported: ds runs ${family} models for causal language modelling`,
    );
  }
  return family;
}

function refuseOtherNetworks(family: Family, json: JsonObject, facts: Facts): void {
  const activation = facts.text("hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish") {
    throw badData(facts.file, `its activation ${quote(activation)} is not supported: ds knows silu`);
  }
  const quantisation = own(json, "quantization_config") ?? null;
  if (quantisation !== null) {
    const method = typeof quantisation === "object"
      ? own(quantisation as JsonObject, "quant_method")
      : quantisation;
    throw badData(
      facts.file,
      `its weights are quantised by ${
        describe(method)
      }, which is not supported: use a GGUF file for quantised weights`,
    );
  }
  if (facts.real("partial_rotary_factor", 1) !== 1) {
    throw facts.refuse(
      "partial_rotary_factor",
      "1: ds rotates whole heads",
      facts.raw("partial_rotary_factor"),
    );
  }
  const layerTypes = facts.raw("layer_types");
  if (
    layerTypes !== undefined &&
    !(Array.isArray(layerTypes) && layerTypes.every((t) => t === "full_attention"))
  ) {
    throw facts.refuse("layer_types", "full_attention in every layer", layerTypes);
  }
  const windowed = family === "qwen2" ? facts.flag("use_sliding_window", false) : facts.has("sliding_window");
  if (!windowed) return;
  const window = facts.positive("sliding_window");
  if (window < facts.positive("max_position_embeddings")) {
    throw badData(facts.file, `its sliding attention window of ${window} tokens is not supported`);
  }
}

/** Tokens the model was made for: configurations with yarn give the length before stretching in most cases. */
function contextOf(facts: Facts, scaling: ModelConfig["rope"]["scaling"]): number {
  const context = facts.positive("max_position_embeddings");
  if (scaling?.type !== "yarn") return context;
  return Math.max(context, Math.floor(scaling.originalContext * scaling.factor));
}

function endTokens(json: JsonObject, generation: JsonObject | null, facts: Facts): number[] {
  const value = (generation && own(generation, "eos_token_id")) ?? own(json, "eos_token_id") ?? [];
  const ids = Array.isArray(value) ? value : [value];
  if (ids.length > 1024) throw facts.refuse("eos_token_id", "at most 1024 ids", value);
  for (const id of ids) {
    if (!Number.isSafeInteger(id)) throw facts.refuse("eos_token_id", "a whole number or a list of them", id);
  }
  return [...new Set<number>(ids)];
}

function biasesOf(family: Family, facts: Facts): Set<Projection> {
  if (family === "qwen2") return new Set(["q", "k", "v"]);
  const biases = new Set<Projection>();
  if (family !== "llama") return biases;
  if (facts.flag("attention_bias", false)) {
    for (const name of ["q", "k", "v", "o"] as const) biases.add(name);
  }
  if (facts.flag("mlp_bias", false)) { for (const name of ["gate", "up", "down"] as const) biases.add(name); }
  return biases;
}
