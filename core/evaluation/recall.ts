import type { Attention } from "../attention/attention.ts";
import { dot, HostKeys } from "../attention/host_keys.ts";
import type { Backend, LayerCache, StepRows, Tensor } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { exp } from "../math.ts";
import { downloadInts } from "../tensor_io.ts";
import { Mean } from "./metrics.ts";

/**
 * Measures the share of the true attention mass that selected tokens hold: per row and query head
 * Σ_selected softmax(q·k/√d), averaged over a KV head's query heads. Exact keys are compared on the host.
 */
export class RecallMeter {
  private readonly backend: Backend;
  private readonly config: ModelConfig;
  private readonly host: HostKeys;
  /** Per layer and KV head. */
  readonly means: readonly Mean[];

  constructor(backend: Backend, config: ModelConfig) {
    this.backend = backend;
    this.config = config;
    this.host = new HostKeys(backend, config);
    this.means = Array.from({ length: config.numLayers * config.numKvHeads }, () => new Mean());
  }

  /** @param every measures one row of so many, the first included */
  async measure(
    layer: number,
    qkvTensor: Tensor,
    cache: LayerCache,
    rows: StepRows,
    { indices, counts, sets }: NonNullable<Attention["lastSelection"]>,
    every = 1,
  ): Promise<void> {
    const { numHeads: Hq, numKvHeads: Hk, headDim: d } = this.config;
    const g = Hq / Hk;
    const keys = await this.host.upTo(layer, cache, this.host.slotOf(rows), Math.max(...rows.positions));
    const qkv = await this.host.qkv(qkvTensor);
    const places = await downloadInts(this.backend, indices);
    const used = await downloadInts(this.backend, counts);
    const K = indices.shape[2];
    for (let t = 0; t < rows.positions.length; t += every) {
      const position = rows.positions[t];
      const row = t * (Hq + 2 * Hk) * d;
      const weights = new Float64Array(position + 1);
      for (let kvHead = 0; kvHead < Hk; kvHead++) {
        let share = 0;
        for (let h = kvHead * g; h < (kvHead + 1) * g; h++) {
          softmaxWeights(weights, qkv, row + h * d, keys[kvHead], row + (Hq + kvHead) * d, position, d);
          const set = t * sets + (sets === Hk ? kvHead : h);
          let mass = 0;
          for (let i = 0; i < used[set]; i++) mass += weights[places[set * K + i]];
          share += mass / g;
        }
        this.means[layer * Hk + kvHead].add(share);
      }
    }
  }

  /** Over all layers and heads measured; null where there was nothing to measure. */
  get overall(): number | null {
    const measured = this.means.filter(({ count }) => count > 0);
    return measured.length === 0 ? null : measured.reduce((sum, { mean }) => sum + mean, 0) / measured.length;
  }
}

/** softmax(q·k/√d) over the tokens before `position` (keys) and the row itself (own key within qkv). */
function softmaxWeights(
  out: Float64Array,
  qkv: Float32Array,
  q: number,
  keys: Float32Array,
  ownKey: number,
  position: number,
  d: number,
): void {
  const scale = 1 / Math.sqrt(d);
  let largest = -Infinity;
  for (let n = 0; n <= position; n++) {
    out[n] = (n < position ? dot(qkv, q, keys, n * d, d) : dot(qkv, q, qkv, ownKey, d)) * scale;
    largest = Math.max(largest, out[n]);
  }
  let sum = 0;
  for (let n = 0; n <= position; n++) sum += out[n] = exp(out[n] - largest);
  for (let n = 0; n <= position; n++) out[n] /= sum;
}
