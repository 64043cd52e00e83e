/** The arguments of the ops on labels and selections, as `native/ds.h` wants them. */
import type {
  AttendSelectedOptions,
  ForcedTokens,
  LayerCache,
  Scores,
  Selection,
} from "../../core/backend.ts";
import type { Queue } from "./queue.ts";
import { cuda, type CudaTensor } from "./tensor.ts";

export function appendKv(queue: Queue, { kv, labels }: LayerCache, qkv: CudaTensor): void {
  const tensors = labels === null
    ? [null, null, null, null, null]
    : [labels.words, labels.channels, labels.zero, labels.inverseStep, labels.valueSums].map(cuda);
  const { wide, narrow } = labels?.layout ?? { wide: 0, narrow: 0 };
  queue.run("append_kv", [cuda(kv), qkv, wide, narrow, ...tensors]);
}

export function scoreLabels(queue: Queue, scores: Scores, qkv: CudaTensor, cache: LayerCache): void {
  const { layout, words, channels, step } = cache.labels!;
  queue.run("score_labels", [
    ...scoreTensors(scores),
    qkv,
    layout.wide,
    layout.narrow,
    cuda(words),
    cuda(channels),
    cuda(step),
  ]);
}

/** Straight after `scoreLabels` of the same scores the two become one op. */
export function selectTokens(
  queue: Queue,
  selection: Selection,
  scores: Scores,
  heavyTokens: CudaTensor,
  { sinkTokens, recentTokens }: ForcedTokens,
): void {
  const scored = queue.takeLast("score_labels", scoreTensors(scores));
  const tensors = [
    cuda(selection.indices),
    cuda(selection.counts),
    cuda(selection.tailMass),
    ...scoreTensors(scores),
    heavyTokens,
  ];
  if (scored === null) queue.run("select_tokens", [...tensors, scores.headDim, sinkTokens, recentTokens]);
  else queue.run("score_and_select", [...tensors, sinkTokens, recentTokens, ...scored]);
}

export function attendSelected(
  queue: Queue,
  out: CudaTensor,
  qkv: CudaTensor,
  { kv, labels }: LayerCache,
  { indices, counts, tailMass }: Selection,
  { scale, staging, tail }: AttendSelectedOptions,
): void {
  const ofTail = tail === undefined
    ? [null, null, null, null, null]
    : [cuda(tailMass), ...scoreTensors(tail.scores), cuda(labels!.valueSums)];
  const { sinkTokens, recentTokens } = tail?.forced ?? { sinkTokens: 0, recentTokens: 0 };
  queue.run("attend_selected", [
    out,
    qkv,
    cuda(kv),
    cuda(indices),
    cuda(counts),
    scale,
    staging === undefined ? null : cuda(staging),
    ...ofTail,
    sinkTokens,
    recentTokens,
  ]);
}

function scoreTensors({ scores, exponents, maxima }: Scores): CudaTensor[] {
  return [cuda(scores), cuda(exponents), cuda(maxima)];
}
