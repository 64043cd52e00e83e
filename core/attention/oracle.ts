import type { LayerCache, Tensor } from "../backend.ts";
import { importanceScale } from "../importance.ts";
import { bytesOfArray } from "../tensor_io.ts";
import { DoubleSparsityAttention } from "./double_sparsity.ts";
import { dot, HostKeys } from "./host_keys.ts";

/** Largest magnitude of a score: fine enough that its rounding never matters beside f32 attention. */
const SCORE_BITS = 22;

/**
 * The ceiling of any selector: Double Sparsity's selection, budgets and tail, on the exact logits in place of the
 * labels' approximate ones. Exact scores are written as integers in the same form, score ≈ q·k·2^e.
 */
export class OracleAttention extends DoubleSparsityAttention {
  override readonly mode = "oracle";
  private hostKeys: HostKeys | null = null;

  override truncate(length: number): void {
    this.hostKeys?.truncate(length);
  }

  protected override async score(layer: number, qkvTensor: Tensor, cache: LayerCache): Promise<void> {
    const { numHeads: Hq, numKvHeads: Hk, headDim: d } = this.config;
    const rows = this.rows!;
    const { scores, exponents, maxima } = this.buffers!.scores;
    const T = rows.tokens.length;
    const S = scores.shape[2];
    const host = (this.hostKeys ??= new HostKeys(this.backend, this.config));
    const keys = await host.upTo(layer, cache, host.slotOf(rows), Math.max(...rows.positions));
    const qkv = await host.qkv(qkvTensor);
    const width = (Hq + 2 * Hk) * d;
    // From a shift of 32 on every token counts the same: near-equal logits are written more coarsely instead.
    const finest = 31 - importanceScale(d, 0).shift;
    const exact = new Float64Array(S);
    const rounded = new Int32Array(S);
    const exponent = new Int32Array(T * Hq);
    const maximum = new Int32Array(T * Hq);
    for (let t = 0; t < T; t++) {
      const position = rows.positions[t];
      for (let h = 0; h < Hq; h++) {
        const kvHead = Math.floor(h / (Hq / Hk));
        const q = t * width + h * d;
        for (let n = 0; n < position; n++) exact[n] = dot(qkv, q, keys[kvHead], n * d, d);
        exact[position] = dot(qkv, q, qkv, t * width + (Hq + kvHead) * d, d);
        let largest = 0;
        for (let n = 0; n <= position; n++) largest = Math.max(largest, Math.abs(exact[n]));
        const e = largest === 0 ? 0 : Math.min(SCORE_BITS - binaryExponent(largest), finest);
        const factor = 2 ** e;
        let best = -Infinity;
        for (let n = 0; n <= position; n++) {
          rounded[n] = Math.round(exact[n] * factor);
          best = Math.max(best, rounded[n]);
        }
        exponent[t * Hq + h] = e;
        maximum[t * Hq + h] = best;
        this.backend.upload(scores, bytesOfArray(rounded), (t * Hq + h) * S * 4);
      }
    }
    this.backend.upload(exponents, bytesOfArray(exponent));
    this.backend.upload(maxima, bytesOfArray(maximum));
  }

  protected override scoringReads(kvLen: number): { keys: number; labelBytes: number } {
    return { keys: kvLen * this.config.numKvHeads, labelBytes: 0 };
  }
}

/** x in [2^b, 2^(b+1)) has exponent b, read from the float's bits. */
function binaryExponent(x: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, x);
  return Math.max(((view.getUint32(0) >>> 23) & 255) - 127, -100);
}
