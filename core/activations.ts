import type { Backend, Tensor } from "./backend.ts";
import type { ModelConfig } from "./config.ts";

/** The buffers of one forward pass over T rows; all f32. */
export interface Activations {
  readonly rows: number;
  readonly x: Tensor; // [T, D], the residual stream
  readonly h: Tensor; // [T, D]
  readonly qkv: Tensor; // [T, Hq + 2·Hk, d]: q, then k, then v
  readonly heads: Tensor; // [T, Hq, d]
  readonly gateUp: Tensor; // [T, 2·F]
  readonly ffn: Tensor; // [T, F]
}

/** Keeps the buffers of the last few row counts, so that a decode step allocates nothing. */
export class ActivationPool {
  private readonly backend: Backend;
  private readonly config: ModelConfig;
  private readonly kept: Activations[] = [];

  constructor(backend: Backend, config: ModelConfig) {
    this.backend = backend;
    this.config = config;
  }

  /** Contents unspecified. Valid until two other row counts have been asked for. */
  of(rows: number): Activations {
    const at = this.kept.findIndex((activations) => activations.rows === rows);
    const found = at >= 0 ? this.kept.splice(at, 1)[0] : this.alloc(rows);
    this.kept.unshift(found);
    for (const old of this.kept.splice(3)) this.release(old);
    return found;
  }

  free(): void {
    for (const activations of this.kept.splice(0)) this.release(activations);
  }

  private alloc(T: number): Activations {
    const { hiddenSize: D, ffnSize: F, numHeads: Hq, numKvHeads: Hk, headDim: d } = this.config;
    const f32 = (...shape: number[]) => this.backend.alloc({ dtype: "f32", shape });
    return {
      rows: T,
      x: f32(T, D),
      h: f32(T, D),
      qkv: f32(T, Hq + 2 * Hk, d),
      heads: f32(T, Hq, d),
      gateUp: f32(T, 2 * F),
      ffn: f32(T, F),
    };
  }

  private release({ x, h, qkv, heads, gateUp, ffn }: Activations): void {
    for (const tensor of [x, h, qkv, heads, gateUp, ffn]) this.backend.free(tensor);
  }
}
