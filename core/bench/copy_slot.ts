import type { Backend, LayerCache, Tensor } from "../backend.ts";

/** Moved at a time through host memory. */
const PIECE_BYTES = 2 ** 25;

/** A slot of a layer. */
export interface SlotOf {
  readonly cache: LayerCache;
  readonly slot: number;
}

/**
 * Copies K, V, labels and running sums of one slot into others of the same capacity: far quicker than computing labels
 * again. Where either side has no labels, K and V alone.
 */
export async function copySlot(backend: Backend, from: SlotOf, targets: readonly SlotOf[]): Promise<void> {
  const parts = (cache: LayerCache): readonly Tensor[] =>
    cache.labels === null ? [cache.kv] : [cache.kv, cache.labels.words, cache.labels.valueSums];
  const sources = parts(from.cache);
  for (let p = 0; p < sources.length; p++) {
    const source = sources[p]!;
    const slotBytes = source.byteLength / source.shape[0];
    const rowBytes = source.byteLength / source.shape.slice(0, -1).reduce((count, size) => count * size, 1);
    const pieceBytes = Math.max(1, Math.floor(PIECE_BYTES / rowBytes)) * rowBytes;
    for (let at = 0; at < slotBytes; at += pieceBytes) {
      const count = Math.min(pieceBytes, slotBytes - at);
      const bytes = await backend.download(source, from.slot * slotBytes + at, count);
      for (const { cache, slot } of targets) {
        const target = parts(cache)[p];
        if (target !== undefined) backend.upload(target, bytes, slot * slotBytes + at);
      }
    }
  }
}
