import type {
  AttendOptions,
  AttendSelectedOptions,
  Backend,
  ForcedTokens,
  LayerCache,
  Scores,
  Selection,
  Tensor,
} from "./backend.ts";
import { CheckedNetwork } from "./checked_network.ts";
import { distinct } from "./checked_stream.ts";
import {
  checkCache,
  checkCount,
  checkQkv,
  checkScores,
  checkSelection,
  type Heads,
  mustBe,
  outOfRange,
} from "./checks.ts";

/**
 * The same backend with every call checked first: shapes, types, lifetimes and the row table. What lies in device
 * memory (indices, counts, heavyTokens) is not looked at, so a call costs microseconds.
 *
 * @throws {TypeError} from a call: a tensor of another shape, type, lifetime or backend than the op needs
 * @throws {RangeError} from a call: a number or a row outside its range
 */
export function checked(backend: Backend): Backend {
  return backend instanceof CheckedBackend ? backend : new CheckedBackend(backend);
}

/** Attention and offload, checked. */
class CheckedBackend extends CheckedNetwork implements Backend {
  appendKv(cache: LayerCache, qkv: Tensor): void {
    this.heads("append K and V", cache, qkv);
    this.inner.appendKv(cache, qkv);
  }

  attend(out: Tensor, qkv: Tensor, cache: LayerCache, options: AttendOptions): void {
    const { Hq, d } = this.heads("attend", cache, qkv);
    this.tensors.expect("attend", "out", out, "f32", [qkv.shape[0], Hq, d]);
    distinct("attend", out, qkv, "qkv");
    distinct("attend", out, cache.kv, "cache.kv");
    checkScale("attend", options.scale);
    checkCount("attend", "window", options.window ?? 0, 0);
    this.inner.attend(out, qkv, cache, options);
  }

  scoreLabels(scores: Scores, qkv: Tensor, cache: LayerCache): void {
    const { Hq, S } = this.heads("score labels", cache, qkv);
    if (cache.labels === null) throw mustBe("score labels", "cache.labels", "a label cache", "null");
    this.tensors.expect("score labels", "scores.scores", scores.scores, "i32", [qkv.shape[0], Hq, S]);
    checkScores("score labels", this.tensors, scores, this.rows("score labels"));
    distinct("score labels", scores.exponents, scores.maxima, "scores.maxima");
    this.inner.scoreLabels(scores, qkv, cache);
  }

  selectTokens(selection: Selection, scores: Scores, heavyTokens: Tensor, forced: ForcedTokens): void {
    const op = "select tokens";
    const rows = this.rows(op);
    const { Hq } = checkScores(op, this.tensors, scores, rows);
    const { H, K } = checkSelection(op, this.tensors, selection, rows, Hq);
    this.tensors.expect(op, "heavyTokens", heavyTokens, "i32", [rows.count, H]);
    distinct(op, selection.counts, heavyTokens, "heavyTokens");
    checkForced(op, forced);
    const least = Math.min(rows.position + 1, forced.sinkTokens + forced.recentTokens + 1);
    if (K < least) throw outOfRange(op, "K", `room for the ${least} forced tokens`, K);
    this.inner.selectTokens(selection, scores, heavyTokens, forced);
  }

  attendSelected(
    out: Tensor,
    qkv: Tensor,
    cache: LayerCache,
    selection: Selection,
    options: AttendSelectedOptions,
  ): void {
    const op = "attend to selected tokens";
    const { Hq, Hk, S, d } = this.heads(op, cache, qkv);
    const rows = this.rows(op);
    this.tensors.expect(op, "out", out, "f32", [rows.count, Hq, d]);
    distinct(op, out, qkv, "qkv");
    distinct(op, out, cache.kv, "cache.kv");
    checkScale(op, options.scale);
    const { H, K } = checkSelection(op, this.tensors, selection, rows, Hq);
    if (H !== Hq && H !== Hk) throw outOfRange(op, "the sets per row", `${Hk} or ${Hq}`, H);
    if (options.tail !== undefined) {
      if (cache.labels === null) throw mustBe(op, "cache.labels", "a label cache, for the tail", "null");
      const { scores } = options.tail;
      this.tensors.expect(op, "tail.scores.scores", scores.scores, "i32", [rows.count, Hq, S]);
      checkScores(op, this.tensors, scores, rows);
      checkForced(op, options.tail.forced);
    }
    if (options.staging !== undefined) this.staging(op, options.staging, cache, H, K);
    this.inner.attendSelected(out, qkv, cache, selection, options);
  }

  async fetchRows(staging: Tensor, cache: LayerCache, selection: Selection): Promise<void> {
    const op = "fetch rows";
    const rows = this.rows(op);
    const { Hk } = checkCache(op, this.tensors, cache, rows, this.device.kvDtypes);
    this.tensors.check(op, "selection.tailMass", selection.tailMass);
    const { H, K } = checkSelection(op, this.tensors, selection, rows, selection.tailMass.shape[1] ?? Hk);
    this.staging(op, staging, cache, H, K);
    await this.inner.fetchRows(staging, cache, selection);
  }

  private heads(op: string, cache: LayerCache, qkv: Tensor): Heads {
    const rows = this.rows(op);
    const facts = checkCache(op, this.tensors, cache, rows, this.device.kvDtypes);
    return checkQkv(op, this.tensors, qkv, rows, facts);
  }

  private staging(op: string, staging: Tensor, cache: LayerCache, H: number, K: number): void {
    const [, Hk, , , d] = cache.kv.shape;
    if (H !== Hk) throw outOfRange(op, "the sets per row", `one per KV head (${Hk}), as rows are staged`, H);
    this.tensors.expect(op, "staging", staging, cache.kv.dtype, [this.rows(op).count, Hk, K, 2, d]);
    distinct(op, staging, cache.kv, "cache.kv");
  }
}

function checkScale(op: string, scale: number): void {
  if (!Number.isFinite(scale)) throw outOfRange(op, "scale", "a finite number", scale);
}

function checkForced(op: string, { sinkTokens, recentTokens }: ForcedTokens): void {
  checkCount(op, "sinkTokens", sinkTokens, 0);
  checkCount(op, "recentTokens", recentTokens, 0);
}
