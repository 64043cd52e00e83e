import type { ForcedTokens, Scores, Selection } from "../../core/backend.ts";
import { kvVariants, type Parts, partsBuffer, sharesOf } from "./attend_parts.ts";
import { floatBits, type Queue } from "./queue.ts";
import { gpu, type WebGpuTensor } from "./tensor.ts";

const MOST_HEADS = 8;
/** Of a share: fewer do not pay for putting the shares together. */
const LEAST_TOKENS = 128;
const LEAST_SELECTED = 64;
/** Workgroups that fill a large GPU, some in waiting. */
const MOST_WORKGROUPS = 1024;

export interface RowsOptions {
  /** Sets of tokens per row: Hk, or Hq. */
  readonly H: number;
  readonly scale: number;
  readonly window: number;
  /** No row attends to more. */
  readonly mostTokens: number;
  /** Null: every token up to the row itself. */
  readonly selected: SelectedTokens | null;
}

export interface SelectedTokens {
  readonly selection: Selection;
  readonly staging: WebGpuTensor | null;
  readonly tail: { readonly scores: Scores; readonly forced: ForcedTokens } | null;
}

/**
 * Attention of rows of any kind, each by itself.
 *
 * @returns the parts to put together; null where out [T, Hq, d] is written, which a tail never leads to
 */
export function attendRows(
  queue: Queue,
  out: WebGpuTensor,
  qkv: WebGpuTensor,
  kv: WebGpuTensor,
  { H, scale, window, mostTokens, selected }: RowsOptions,
): Parts | null {
  const [T, heads, d] = qkv.shape as [number, number, number];
  const [, Hk, S] = kv.shape as [number, number, number];
  const Hq = heads - 2 * Hk;
  const tail = selected?.tail ?? null;
  const sizes = sizesFor(Hq / H, d);
  const workgroupsPerSet = Math.ceil(Hq / H / sizes.HEADS);
  const grid = [T, H * workgroupsPerSet] as const;
  const leastTokens = selected === null ? LEAST_TOKENS : LEAST_SELECTED;
  const shares = sharesOf(mostTokens, leastTokens, grid[0] * grid[1], MOST_WORKGROUPS);
  const isWhole = shares === 1 && tail === null;
  const result = isWhole ? out.buffer : partsBuffer(queue, T * (Hq + H) * shares, d);

  const staging = selected?.staging ?? null;
  const lists = selected === null ? [] : [selected.selection.indices, selected.selection.counts];
  const extra = [
    ...lists.map((tensor) => gpu(tensor).buffer),
    ...(staging === null ? [] : [staging.buffer]),
    ...(tail === null ? [] : [gpu(tail.scores.scores).buffer]),
  ];
  const kernel = queue.kernel(
    "attend_rows",
    { D: d, ...sizes, WHOLE: isWhole, SCORES: staging === null ? 7 : 8 },
    {
      ...kvVariants(kv),
      ...(selected !== null &&
        { attend_tokens: staging === null ? "attend_tokens_selected" : "attend_tokens_staged" }),
      ...(tail !== null && { attend_no_tail: "attend_tail" }),
    },
  );
  const K = selected?.selection.indices.shape[2] ?? 0;
  const { sinkTokens = 0, recentTokens = 0 } = tail?.forced ?? {};
  for (const { buffer, first, entries } of kv.chunks) {
    const parameters = [
      Hq,
      Hk,
      H,
      S,
      K,
      shares,
      workgroupsPerSet,
      first,
      entries,
      window,
      floatBits(scale),
      sinkTokens,
      recentTokens,
    ];
    const buffers = [result, qkv.buffer, buffer, queue.rows.buffer, ...extra];
    queue.run(kernel, parameters, buffers, [shares, ...grid]);
  }
  return isWhole ? null : { buffer: result, H, shares };
}

/** Lanes that share a token, and query heads that share a workgroup: what fits into 16 KiB of workgroup memory. */
function sizesFor(heads: number, d: number): { readonly LANES: number; readonly HEADS: number } {
  const LANES = d >= 16 ? 4 : d / 4;
  const most = Math.max(1, Math.min(MOST_HEADS, Math.floor(1024 / d)));
  return { LANES, HEADS: Math.ceil(heads / Math.ceil(heads / most)) };
}
