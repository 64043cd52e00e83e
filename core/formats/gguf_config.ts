import type { ModelConfig, RopeScaling } from "../config.ts";
import { badData } from "../errors.ts";
import { log } from "../math.ts";
import { checkConfig } from "./config_check.ts";
import { Facts } from "./facts.ts";
import type { GgufHeader } from "./gguf_header.ts";
import { describe, quote } from "../quote.ts";

const ARCHITECTURES = ["llama", "qwen2"] as const;

/**
 * @param ropeFactors divisors per channel pair from the tensor `rope_freqs.weight`, if the file has it
 * @throws {DsError} kind "bad-data"
 */
export function ggufConfig(
  header: GgufHeader,
  ropeFactors: readonly number[] | null,
  file: string,
): ModelConfig {
  const all = new Facts(file, (key) => header.metadata.get(key));
  const named = all.text("general.architecture");
  const architecture = ARCHITECTURES.find((name) => name === named);
  if (architecture === undefined) {
    throw badData(
      file,
      `its architecture ${quote(named)} is not supported: ds knows ${ARCHITECTURES.join(", ")}`,
    );
  }
  const facts = new Facts(file, (key) => header.metadata.get(key), `${architecture}.`);
  refuseOtherNetworks(facts);

  const hiddenSize = facts.positive("embedding_length");
  const numHeads = facts.positive("attention.head_count");
  const headDim = facts.positive("attention.key_length", hiddenSize / numHeads);
  for (const key of ["attention.value_length", "rope.dimension_count"]) {
    if (facts.positive(key, headDim) !== headDim) {
      throw facts.refuse(key, `the head size ${headDim}`, facts.raw(key));
    }
  }
  const embedding = header.tensors.get("token_embd.weight");
  if (embedding === undefined) throw badData(file, 'it has no tensor "token_embd.weight"');
  const vocabSize = embedding.shape[0];
  const tokens = header.metadata.get("tokenizer.ggml.tokens");
  if (Array.isArray(tokens) && tokens.length !== vocabSize) {
    throw badData(file, `its vocabulary has ${tokens.length} tokens and its embedding ${vocabSize} rows`);
  }
  const context = facts.positive("context_length");
  const scaling = scalingOf(facts, context, ropeFactors);
  const config: ModelConfig = {
    architecture,
    numLayers: facts.positive("block_count"),
    hiddenSize,
    ffnSize: facts.positive("feed_forward_length"),
    vocabSize,
    numHeads,
    numKvHeads: facts.positive("attention.head_count_kv", numHeads),
    headDim,
    contextLength: scaling?.type === "yarn"
      ? Math.max(context, Math.floor(scaling.originalContext * scaling.factor))
      : context,
    rmsNormEpsilon: facts.real("attention.layer_norm_rms_epsilon"),
    rope: { base: facts.real("rope.freq_base", 10000), scaling },
    tiedEmbeddings: !header.tensors.has("output.weight"),
    ...specialTokens(all),
  };
  return checkConfig(config, file);
}

function refuseOtherNetworks(facts: Facts): void {
  for (const key of ["expert_count", "attention.clamp_kqv", "attention.max_alibi_bias"]) {
    if (facts.real(key, 0) !== 0) throw facts.refuse(key, "0", facts.raw(key));
  }
  for (const key of ["logit_scale", "embedding_scale", "residual_scale", "attention.scale"]) {
    if (facts.has(key)) throw facts.refuse(key, "absent", facts.raw(key));
  }
  if (!facts.flag("attention.causal", true)) {
    throw facts.refuse("attention.causal", "true", false);
  }
  const window = facts.integer("attention.sliding_window", 0);
  if (window > 0 && window < facts.positive("context_length")) {
    throw badData(facts.file, `its sliding attention window of ${window} tokens is not supported`);
  }
}

function scalingOf(facts: Facts, context: number, factors: readonly number[] | null): RopeScaling | null {
  const type = facts.text("rope.scaling.type", facts.has("rope.scale_linear") ? "linear" : "none");
  if (type !== "none" && type !== "linear" && type !== "yarn") {
    throw badData(
      facts.file,
      `its rope scaling ${describe(type)} is not supported: ds knows linear and yarn`,
    );
  }
  const factor = facts.real("rope.scaling.factor", facts.real("rope.scale_linear", 1));
  const isPlain = type === "none" || (type === "linear" && factor === 1);
  if (factors !== null) {
    if (!isPlain) {
      throw badData(facts.file, `it has both rope scaling ${type} and rope_freqs.weight: ds takes one`);
    }
    return { type: "factors", factors };
  }
  if (isPlain) return null;
  if (type === "linear") return { type, factor };

  if (facts.real("rope.scaling.yarn_log_multiplier", 0) !== 0) {
    throw facts.refuse(
      "rope.scaling.yarn_log_multiplier",
      "absent",
      facts.raw("rope.scaling.yarn_log_multiplier"),
    );
  }
  if (facts.real("rope.scaling.yarn_ext_factor", 1) !== 1) {
    throw facts.refuse("rope.scaling.yarn_ext_factor", "1", facts.raw("rope.scaling.yarn_ext_factor"));
  }
  const given = facts.real("rope.scaling.yarn_attn_factor", facts.real("rope.scaling.attn_factor", 1));
  return {
    type: "yarn",
    factor,
    betaFast: facts.real("rope.scaling.yarn_beta_fast", 32),
    betaSlow: facts.real("rope.scaling.yarn_beta_slow", 1),
    originalContext: facts.positive("rope.scaling.original_context_length", context),
    // The format's factor multiplies the usual rule's, where Hugging Face's replaces it.
    attentionFactor: given * (factor > 1 ? 0.1 * log(factor) + 1 : 1),
    truncate: true,
  };
}

function specialTokens(all: Facts): Pick<ModelConfig, "bosTokenId" | "eosTokenIds"> {
  const id = (name: string) => {
    const key = `tokenizer.ggml.${name}_token_id`;
    return all.has(key) ? all.integer(key) : null;
  };
  // A SentencePiece-style vocabulary that names no ids has these two; others say theirs.
  const isSentencePiece = all.raw("tokenizer.ggml.model") === "llama";
  const ends = [id("eos") ?? (isSentencePiece ? 2 : null), id("eot"), id("eom")].filter((end) =>
    end !== null
  );
  return { bosTokenId: id("bos") ?? (isSentencePiece ? 1 : null), eosTokenIds: [...new Set(ends)] };
}
