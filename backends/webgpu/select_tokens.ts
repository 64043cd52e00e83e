import type { ForcedTokens, Scores, Selection } from "../../core/backend.ts";
import { IMPORTANCE_TABLE, importanceScale } from "../../core/importance.ts";
import type { DeviceBuffer } from "./buffers.ts";
import { floatBits, type Queue, spread } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";
import { tokenGrid } from "./token_grid.ts";

/** Tokens of a block, as in `token_set.wgsl`, and words of a set there. */
const BLOCK = 1024;
const SET_WORDS = 6;
/** Words of a set's bins, as in `weight_bins.wgsl`. */
const BIN_WORDS = 513;

/** The heavyTokens[t, h] most important tokens of each set, ascending, and the mass of the others. */
export function selectTokens(
  queue: Queue,
  selection: Selection,
  { headDim, scores, exponents, maxima }: Scores,
  heavyTokens: WebGpuTensor,
  { sinkTokens, recentTokens }: ForcedTokens,
): void {
  const [T, Hq, S] = scores.shape as [number, number, number];
  const [, H, K] = selection.indices.shape as [number, number, number];
  const G = Hq / H;
  const all = T * H;
  const held = Math.ceil(S / BLOCK);
  const stride = held * BLOCK;
  const scratch = (name: string, words: number) => queue.scratch(`selection: ${name}`, 4 * words);
  const sets = scratch("sets", SET_WORDS * all);
  const weights = scratch("weights", stride * all);
  const candidates = scratch("candidates", stride * all);
  const blocks = scratch("blocks", 2 * held * all);
  const masses = scratch("masses", held * T * Hq);
  const bins = clearBins(queue, scratch("bins", BIN_WORDS * all));
  const heads = [scores, maxima, exponents].map((tensor) => gpu(tensor).buffer);
  const choice = [heavyTokens.buffer, queue.rows.buffer];
  const { multiplier, shift } = importanceScale(headDim, 0);
  const blockGrid = tokenGrid(queue, BLOCK, all);

  queue.run(
    queue.kernel("select_tokens_weigh", { G }),
    [all, H, S, stride, sinkTokens, recentTokens, multiplier, shift],
    [weights, bins, ...heads, importanceTable(queue), ...choice],
    blockGrid,
  );
  queue.run(
    queue.kernel("select_tokens_narrow"),
    [all, H, stride, K, sinkTokens, recentTokens],
    [sets, gpu(selection.counts).buffer, bins, candidates, blocks, weights, ...choice],
    blockGrid,
  );
  queue.run(
    queue.kernel("select_tokens_threshold"),
    [all, stride],
    [sets, blocks, bins, candidates, weights],
    spread(all),
  );
  queue.run(
    queue.kernel("select_tokens_write", { G }),
    [all, S, stride, K, floatBits(1 / Math.sqrt(headDim))],
    [gpu(selection.indices).buffer, masses, weights, blocks, sets, ...heads],
    blockGrid,
  );
  queue.run(
    queue.kernel("select_tokens_tail", { G }),
    [T * Hq, held],
    [gpu(selection.tailMass).buffer, masses, sets],
    spread(T * Hq),
  );
}

const cleared = new WeakSet<DeviceBuffer>();

/** Bins that are all 0, as `select_tokens_threshold.wgsl` leaves them: only new ones have to be cleared here. */
function clearBins(queue: Queue, bins: DeviceBuffer): DeviceBuffer {
  if (!cleared.has(bins)) {
    queue.clear(bins);
    cleared.add(bins);
  }
  return bins;
}

const tables = new WeakMap<Queue, DeviceBuffer>();

/** IMPORTANCE_TABLE on the device, written once. */
function importanceTable(queue: Queue): DeviceBuffer {
  let table = tables.get(queue);
  if (table === undefined) {
    table = queue.scratch("importance table", IMPORTANCE_TABLE.byteLength);
    queue.write(table, 0, new Uint8Array(IMPORTANCE_TABLE.buffer));
    tables.set(queue, table);
  }
  return table;
}
