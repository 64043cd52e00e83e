import type { Backend, LayerCache, Tensor } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import type { Attention, LayerReads } from "./attention.ts";

/** Every row reads every token before it. */
export class DenseAttention implements Attention {
  readonly mode = "dense";
  readonly lastSelection = null;
  private readonly backend: Backend;
  private readonly numKvHeads: number;
  private readonly scale: number;

  constructor(backend: Backend, config: ModelConfig) {
    this.backend = backend;
    this.numKvHeads = config.numKvHeads;
    this.scale = 1 / Math.sqrt(config.headDim);
  }

  beginStep(): void {}

  attend(_layer: number, out: Tensor, qkv: Tensor, cache: LayerCache): void {
    this.backend.attend(out, qkv, cache, { scale: this.scale });
  }

  truncate(): void {}

  reads(_layer: number, kvLen: number): LayerReads {
    return { rows: kvLen * this.numKvHeads, tokens: kvLen, halfRows: 0, extraBytes: 0, dense: true };
  }

  free(): void {}
}
