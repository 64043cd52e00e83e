import type { ModelConfig } from "../core/config.ts";

/** Keys of the first tokens of a block are attention sinks, unlike all others, and are always selected: left out. */
const LEFT_OUT_TOKENS = 4;

/**
 * Running sums over calibration tokens, in f64 and in the order of the tokens: the same bits on every runtime.
 * L layers, Hq, Hk heads, d channels, g = Hq / Hk.
 */
export class ChannelStatistics {
  readonly tokens: Float64Array;
  private readonly config: ModelConfig;
  /** [L, Hk, d] */
  private readonly qk2: Float64Array;
  private readonly k: Float64Array;
  private readonly keySum: Float64Array;
  private readonly keySquares: Float64Array;
  /** [L, Hq, d] */
  private readonly q: Float64Array;
  private readonly qk: Float64Array;
  private readonly keyTokens: Float64Array;

  constructor(config: ModelConfig) {
    const perKvHead = config.numLayers * config.numKvHeads * config.headDim;
    const perHead = config.numLayers * config.numHeads * config.headDim;
    this.config = config;
    this.tokens = new Float64Array(config.numLayers);
    this.keyTokens = new Float64Array(config.numLayers);
    this.qk2 = new Float64Array(perKvHead);
    this.k = new Float64Array(perKvHead);
    this.keySum = new Float64Array(perKvHead);
    this.keySquares = new Float64Array(perKvHead);
    this.q = new Float64Array(perHead);
    this.qk = new Float64Array(perHead);
  }

  /**
   * @param qkv f32 [T, Hq + 2·Hk, d] after RoPE, of consecutive tokens of one block
   * @param firstPosition place of the first of them in its block
   */
  add(layer: number, qkv: Float32Array, firstPosition: number): void {
    const { numHeads: Hq, numKvHeads: Hk, headDim: d } = this.config;
    const g = Hq / Hk;
    const width = (Hq + 2 * Hk) * d;
    const T = qkv.length / width;
    for (let t = 0; t < T; t++) {
      const counts = firstPosition + t >= LEFT_OUT_TOKENS;
      this.tokens[layer]++;
      if (counts) this.keyTokens[layer]++;
      for (let h = 0; h < Hk; h++) {
        const key = t * width + (Hq + h) * d;
        const kv = (layer * Hk + h) * d;
        for (let c = 0; c < d; c++) {
          const value = qkv[key + c];
          this.k[kv + c] += Math.abs(value);
          if (!counts) continue;
          this.keySum[kv + c] += value;
          this.keySquares[kv + c] += value * value;
        }
        for (let head = h * g; head < (h + 1) * g; head++) {
          const query = t * width + head * d;
          const at = (layer * Hq + head) * d;
          for (let c = 0; c < d; c++) {
            const product = qkv[query + c] * qkv[key + c];
            this.q[at + c] += Math.abs(qkv[query + c]);
            this.qk[at + c] += Math.abs(product);
            this.qk2[kv + c] += product * product;
          }
        }
      }
    }
  }

  /** Means over all tokens, f64: "qk2", "qk", "q", "k" [L, Hk, d], the first three summed over the group. */
  perKvHead(statistic: "qk2" | "qk" | "q" | "k"): Float64Array {
    if (statistic === "qk2") return this.averaged(this.qk2);
    if (statistic === "k") return this.averaged(this.k);
    const { numHeads, numKvHeads: Hk, headDim: d, numLayers } = this.config;
    const g = numHeads / Hk;
    const perHead = this.perHead(statistic);
    const summed = new Float64Array(numLayers * Hk * d);
    for (let head = 0; head < numLayers * numHeads; head++) {
      for (let c = 0; c < d; c++) summed[Math.floor(head / g) * d + c] += perHead[head * d + c];
    }
    return summed;
  }

  /** Means over all tokens, f64 [L, Hq, d]. */
  perHead(statistic: "q" | "qk"): Float64Array {
    return this.averaged(statistic === "q" ? this.q : this.qk);
  }

  /** Mean and standard deviation of the keys, f32 [L, Hk, d]. */
  keyMoments(): { mean: Float32Array<ArrayBuffer>; std: Float32Array<ArrayBuffer> } {
    const perLayer = this.keySum.length / this.config.numLayers;
    const mean = new Float32Array(this.keySum.length);
    const std = new Float32Array(this.keySum.length);
    for (let i = 0; i < mean.length; i++) {
      const n = this.keyTokens[Math.floor(i / perLayer)];
      const average = this.keySum[i] / n;
      mean[i] = average;
      std[i] = Math.sqrt(Math.max(this.keySquares[i] / n - average * average, 0));
    }
    return { mean, std };
  }

  private averaged(sums: Float64Array): Float64Array {
    const perLayer = sums.length / this.config.numLayers;
    return sums.map((sum, i) => sum / this.tokens[Math.floor(i / perLayer)]);
  }
}
