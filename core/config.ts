/** Rotary embedding, always in the half-split pairing (c, c + d/2). */
export interface RopeConfig {
  readonly base: number;
  readonly scaling: RopeScaling | null;
}

export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  /** Divisors per channel pair, d/2 of them: how GGUF files carry the llama3 rule. */
  | { readonly type: "factors"; readonly factors: readonly number[] }
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFrequencyFactor: number;
    readonly highFrequencyFactor: number;
    readonly originalContext: number;
  }
  | {
    readonly type: "yarn";
    readonly factor: number;
    readonly betaFast: number;
    readonly betaSlow: number;
    readonly originalContext: number;
    /** Multiplies cos and sin. */
    readonly attentionFactor: number;
    /** Whether the correction range is rounded outwards to whole channels (the usual rule). */
    readonly truncate: boolean;
  };

/** What the network looks like, whichever file format said so. Symbols as in METHOD.md: L, D, F, V, Hq, Hk, d. */
export interface ModelConfig {
  /** The family's name as the file gives it: "llama", ... */
  readonly architecture: string;
  /** L */
  readonly numLayers: number;
  /** D */
  readonly hiddenSize: number;
  /** F */
  readonly ffnSize: number;
  /** V */
  readonly vocabSize: number;
  /** Hq */
  readonly numHeads: number;
  /** Hk; Hq is a multiple of it */
  readonly numKvHeads: number;
  /** d; even; may differ from D / Hq */
  readonly headDim: number;
  /** Tokens the model was made for. */
  readonly contextLength: number;
  readonly rmsNormEpsilon: number;
  readonly rope: RopeConfig;
  readonly tiedEmbeddings: boolean;
  readonly bosTokenId: number | null;
  /** Generation stops at any of these. */
  readonly eosTokenIds: readonly number[];
}

/** g = Hq / Hk: how many query heads read one KV head. */
export function groupSize(config: Pick<ModelConfig, "numHeads" | "numKvHeads">): number {
  return config.numHeads / config.numKvHeads;
}
