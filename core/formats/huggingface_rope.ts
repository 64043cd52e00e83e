import type { RopeConfig, RopeScaling } from "../config.ts";
import { badData } from "../errors.ts";
import { log } from "../math.ts";
import { Facts } from "./facts.ts";
import { describe, quote } from "../quote.ts";
import { isObject, type JsonObject, own } from "./strict_json.ts";

const SUPPORTED = "default, linear, llama3 and yarn";

/**
 * Reads `rope_theta` with `rope_scaling`, or the newer `rope_parameters` that holds both; the kind of scaling under its
 * older key `type` or its newer `rope_type`.
 */
export function ropeOf(config: JsonObject, facts: Facts): RopeConfig {
  const parameters = own(config, "rope_parameters") ?? own(config, "rope_scaling") ?? null;
  if (parameters === null) return { base: facts.real("rope_theta", 10000), scaling: null };
  if (!isObject(parameters)) throw facts.refuse("rope_scaling", "an object", parameters);
  const rope = new Facts(facts.file, (key) => own(parameters, key));
  if (rope.real("partial_rotary_factor", 1) !== 1) {
    throw rope.refuse(
      "partial_rotary_factor",
      "1: ds rotates whole heads",
      rope.raw("partial_rotary_factor"),
    );
  }
  const base = rope.real("rope_theta", facts.real("rope_theta", 10000));
  return { base, scaling: scalingOf(rope, facts) };
}

function scalingOf(rope: Facts, config: Facts): RopeScaling | null {
  const type = typeOf(rope);
  if (type === "default") return null;
  const factor = rope.real("factor");
  if (type === "linear") return { type, factor };
  if (type === "llama3") {
    return {
      type,
      factor,
      lowFrequencyFactor: rope.real("low_freq_factor"),
      highFrequencyFactor: rope.real("high_freq_factor"),
      originalContext: rope.positive("original_max_position_embeddings"),
    };
  }
  return {
    type: "yarn",
    factor,
    betaFast: rope.real("beta_fast", 32),
    betaSlow: rope.real("beta_slow", 1),
    originalContext: rope.positive(
      "original_max_position_embeddings",
      config.positive("max_position_embeddings"),
    ),
    attentionFactor: rope.has("attention_factor")
      ? rope.real("attention_factor")
      : yarnAttention(rope, factor),
    truncate: rope.flag("truncate", true),
  };
}

function typeOf(rope: Facts): "default" | "linear" | "llama3" | "yarn" {
  const newer = rope.raw("rope_type");
  const older = rope.raw("type");
  if (newer !== undefined && older !== undefined && newer !== older) {
    throw badData(rope.file, `its rope scaling has rope_type ${describe(newer)} and type ${describe(older)}`);
  }
  const type = newer ?? older ?? "default";
  if (type === "default" || type === "linear" || type === "llama3" || type === "yarn") return type;
  const name = typeof type === "string" ? quote(type) : describe(type);
  throw badData(rope.file, `its rope type ${name} is not supported: ds knows ${SUPPORTED}`);
}

/** 0.1 · m · ln(factor) + 1, with m = 1, or as the ratio of the values for `mscale` and `mscale_all_dim` where both are given. */
function yarnAttention(rope: Facts, factor: number): number {
  const scale = (m: number) => factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
  const [m, mAll] = [rope.real("mscale", 0), rope.real("mscale_all_dim", 0)];
  return m !== 0 && mAll !== 0 ? scale(m) / scale(mAll) : scale(1);
}
