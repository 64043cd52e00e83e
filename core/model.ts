import { ActivationPool } from "./activations.ts";
import type { Attention } from "./attention/attention.ts";
import type { Backend, StepRows, Tensor } from "./backend.ts";
import type { ModelConfig } from "./config.ts";
import type { Checkpoint } from "./formats/checkpoint.ts";
import type { KvCache } from "./kv_cache.ts";
import { tensorOf } from "./tensor_io.ts";
import { type LoadOptions, loadWeights, type Projection, tensorsOf, type Weights } from "./weights.ts";

export interface ForwardOptions {
  /** Rows whose logits are wanted, as indices into the step; none: null comes back. */
  readonly logitRows?: Int32Array;
  /** First layer to run, default 0; the residual then starts as `residual`. */
  readonly firstLayer?: number;
  /** f32 [T, D]: the residual before `firstLayer`; copied. */
  readonly residual?: Tensor;
  readonly tap?: ForwardTap;
}

/** Sees what passes through each layer; tensors are only good until the call returns or its promise settles. */
export interface ForwardTap {
  /** f32 [T, D] before the layer runs. */
  residual?(layer: number, x: Tensor): void | Promise<void>;
  /** f32 [T, Hq + 2·Hk, d] after RoPE, its K and V appended. */
  qkv?(layer: number, qkv: Tensor): void | Promise<void>;
  /** f32 [T, D] after the layer's attention was added. */
  attended?(layer: number, x: Tensor): void | Promise<void>;
}

/** The network on one backend: weights and the one definition of a forward pass. */
export class Model {
  readonly backend: Backend;
  readonly config: ModelConfig;
  readonly weights: Weights;
  private readonly activations: ActivationPool;

  constructor(backend: Backend, config: ModelConfig, weights: Weights) {
    this.backend = backend;
    this.config = config;
    this.weights = weights;
    this.activations = new ActivationPool(backend, config);
  }

  static async load(backend: Backend, checkpoint: Checkpoint, options: LoadOptions): Promise<Model> {
    return new Model(backend, checkpoint.config, await loadWeights(backend, checkpoint, options));
  }

  /**
   * Runs the rows through the network, appending their K and V to `cache`, attention by `attention`.
   *
   * @returns logits f32 [R, V] of `logitRows`, owned by the caller
   */
  async forward(
    cache: KvCache,
    rows: StepRows,
    attention: Attention,
    options: ForwardOptions = {},
  ): Promise<Tensor | null> {
    const { backend, weights } = this;
    const { numHeads, numKvHeads, rmsNormEpsilon: epsilon } = this.config;
    const { x, h, qkv, heads, gateUp, ffn } = this.activations.of(rows.tokens.length);
    const firstLayer = options.firstLayer ?? 0;

    backend.beginStep(rows);
    attention.beginStep(rows);
    if (options.residual === undefined) backend.embed(x, weights.embedding);
    else this.copy(x, options.residual);

    for (let l = firstLayer; l < weights.layers.length; l++) {
      const layer = weights.layers[l];
      await options.tap?.residual?.(l, x);

      backend.rmsNorm(h, x, layer.attentionNorm, epsilon);
      this.project(qkv, h, layer.qkv);
      backend.rope(qkv, weights.ropeTable, { numHeads, numKvHeads });
      backend.appendKv(cache.layers[l], qkv);
      await options.tap?.qkv?.(l, qkv);
      await attention.attend(l, heads, qkv, cache.layers[l]);
      this.project(h, heads, layer.o);
      backend.add(x, h);
      await options.tap?.attended?.(l, x);

      backend.rmsNorm(h, x, layer.ffnNorm, epsilon);
      this.project(gateUp, h, layer.gateUp);
      backend.swiglu(ffn, gateUp);
      this.project(h, ffn, layer.down);
      backend.add(x, h);
    }
    const { logitRows } = options;
    const logits = logitRows === undefined || logitRows.length === 0 ? null : this.logits(x, logitRows);
    backend.submit();
    return logits;
  }

  free(): void {
    this.activations.free();
    for (const tensor of tensorsOf(this.weights)) this.backend.free(tensor);
  }

  private logits(x: Tensor, rows: Int32Array): Tensor {
    const { backend, config, weights } = this;
    const R = rows.length;
    const indices = tensorOf(backend, rows, [R]);
    const last = backend.alloc({ dtype: "f32", shape: [R, config.hiddenSize] });
    const logits = backend.alloc({ dtype: "f32", shape: [R, config.vocabSize] });
    backend.gatherRows(last, x, indices);
    backend.rmsNorm(last, last, weights.finalNorm, config.rmsNormEpsilon);
    backend.linear(logits, last, weights.output, null);
    backend.free(indices);
    backend.free(last);
    return logits;
  }

  private copy(target: Tensor, source: Tensor): void {
    const rows = tensorOf(this.backend, Int32Array.from({ length: source.shape[0] }, (_, i) => i), [
      source.shape[0],
    ]);
    this.backend.gatherRows(target, source, rows);
    this.backend.free(rows);
  }

  private project(out: Tensor, x: Tensor, projection: Projection): void {
    for (const { weight, bias, column } of projection) this.backend.linear(out, x, weight, bias, column);
  }
}

/** Rows of one slot at consecutive positions, each at its own place. */
export function consecutiveRows(tokens: ArrayLike<number>, firstPosition: number, slot = 0): StepRows {
  const T = tokens.length;
  const positions = Int32Array.from({ length: T }, (_, t) => firstPosition + t);
  return {
    tokens: Int32Array.from(tokens),
    slots: new Int32Array(T).fill(slot),
    positions,
    homes: positions,
  };
}

/** Rows that stand each for itself at `positions`, kept at the places from `firstHome` on. */
export function privateRows(
  tokens: ArrayLike<number>,
  positions: ArrayLike<number>,
  firstHome: number,
  slot = 0,
): StepRows {
  const T = tokens.length;
  return {
    tokens: Int32Array.from(tokens),
    slots: new Int32Array(T).fill(slot),
    positions: Int32Array.from(positions),
    homes: Int32Array.from({ length: T }, (_, t) => firstHome + t),
  };
}
