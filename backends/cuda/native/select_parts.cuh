/* A long set by several blocks, in three launches: its weights in bins; the cut; its tokens in their places. */
#pragma once

#include "last_block.cuh"
#include "selection_plan.cuh"
#include "weigh_tokens.cuh"
#include "write_selected.cuh"

namespace ds {

/* Working memory of sets done by `parts` blocks each: part p of a set is block set·parts + p. */
struct SelectionParts {
  int parts;
  /* u32 [sets, BINS], [sets]: 0 between launches. */
  unsigned *bins, *arrivals;
  /* [sets]: where the cut is, and the cut. */
  Bin *found;
  Cut *cuts;
  /* [sets, parts]: of the tokens of a part, then of all parts before it. */
  Passed *passed;
  /* u32 [sets, stride]: from each part's first token on, the weights there that lie in the cut's bin, in any order. */
  unsigned *candidates;
  /* f32 [sets, parts, g] */
  float *masses;
};

/* What one block does of its set. */
struct Part {
  int set, part, blocks, tokens, first, end;
};

__device__ inline Part partOf(const SelectionParts &parts, const TokenSet &tokens, int block) {
  const Share share = shareOf(tokens.kvLen, parts.parts, SHARE_GRAIN);
  const int part = block % parts.parts, first = part * share.tokens;
  return {block / parts.parts, part, share.blocks, share.tokens, first, min(first + share.tokens, tokens.kvLen)};
}

static __global__ void __launch_bounds__(SELECT_THREADS) weighParts(Selection selection, SelectionParts parts) {
  const TokenSet tokens = selection.tokensOf(blockIdx.x / parts.parts);
  const Part part = partOf(parts, tokens, blockIdx.x);
  if (part.part >= part.blocks || tokens.wanted == 0) return;
  SelectionRoom &room = selectionRoom();
  loadHeads(selection, part.set);
  loadTable(room);
  clearBins(room);
  __syncthreads();
  weighTokens(selection, part.set, max(part.first, tokens.firstFree), min(part.end, tokens.endFree),
              selection.weights + part.set * selection.stride);
  __syncthreads();
  unsigned *bins = parts.bins + int64_t{part.set} * BINS;
  for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) {
    if (room.bins[bin] > 0) atomicAdd(&bins[bin], room.bins[bin]);
  }
  if (!isLastBlock(&parts.arrivals[part.set], part.blocks)) return;
  for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) {
    room.bins[bin] = bins[bin];
    bins[bin] = 0;
  }
  __syncthreads();
  const Bin found = findBin(room, tokens.wanted);
  if (threadIdx.x == 0) parts.found[part.set] = found;
}

/*
 * Of the part's free tokens: how many are in heavier bins, and how many in `bin`. The weights of those become candidates, unless
 * the bin holds but one weight.
 */
__device__ inline Passed narrowPart(const Selection &selection, const SelectionParts &parts, const TokenSet &tokens,
                                    const Part &part, unsigned bin) {
  SelectionRoom &room = selectionRoom();
  const int lane = threadIdx.x % WARP;
  const unsigned *weights = selection.weights + part.set * selection.stride;
  unsigned *candidates = parts.candidates + part.set * selection.stride + part.first;
  const int first = max(part.first, tokens.firstFree), end = min(part.end, tokens.endFree);
  const bool lists = freeBitsOf(bin) > 0;
  if (threadIdx.x < 2) room.found[threadIdx.x] = 0;
  __syncthreads();
  unsigned above = 0;
  for (int start = first; start < end; start += blockDim.x) {
    const int n = start + threadIdx.x;
    const unsigned weight = n < end ? weights[n] : 0;
    const unsigned own = binOf(weight);
    const bool isInside = n < end && own == bin;
    above += __popc(__ballot_sync(ALL_LANES, n < end && own > bin));
    const unsigned inside = __ballot_sync(ALL_LANES, isInside);
    unsigned place = lane == 0 && inside != 0 ? atomicAdd(&room.found[1], static_cast<unsigned>(__popc(inside))) : 0;
    place = __shfl_sync(ALL_LANES, place, 0) + __popc(inside & ((1u << lane) - 1));
    if (isInside && lists) candidates[place] = weight;
  }
  if (lane == 0) atomicAdd(&room.found[0], above);
  __syncthreads();
  return {room.found[0], room.found[1]};
}

/* Makes of what each part holds what all parts before it hold. */
__device__ inline void passParts(const SelectionParts &parts, const Part &part, const unsigned *candidates, bool isListed,
                                 unsigned threshold) {
  SelectionRoom &room = selectionRoom();
  const int lane = threadIdx.x % WARP;
  Passed *passed = parts.passed + int64_t{part.set} * parts.parts;
  /* The bins are free again. */
  unsigned *above = room.bins, *equal = room.bins + MOST_PARTS;
  for (int other = threadIdx.x / WARP; other < part.blocks; other += blockDim.x / WARP) {
    Passed held = passed[other];
    const unsigned *weights = candidates + int64_t{other} * part.tokens;
    const unsigned count = isListed ? held.equal : 0;
    if (isListed) held.equal = 0;
    for (unsigned start = 0; start < count; start += WARP) {
      const unsigned i = start + lane, weight = i < count ? weights[i] : 0;
      held.above += __popc(__ballot_sync(ALL_LANES, i < count && weight > threshold));
      held.equal += __popc(__ballot_sync(ALL_LANES, i < count && weight == threshold));
    }
    if (lane == 0) {
      above[other] = held.above;
      equal[other] = held.equal;
    }
  }
  __syncthreads();
  const int mine = threadIdx.x;
  const unsigned before = scanThreads(mine < part.blocks ? above[mine] : 0, room.scans[0]).before;
  const unsigned same = scanThreads(mine < part.blocks ? equal[mine] : 0, room.scans[1]).before;
  if (mine < part.blocks) passed[mine] = {before, same};
}

static __global__ void __launch_bounds__(SELECT_THREADS) narrowParts(Selection selection, SelectionParts parts) {
  const TokenSet tokens = selection.tokensOf(blockIdx.x / parts.parts);
  const Part part = partOf(parts, tokens, blockIdx.x);
  if (part.part >= part.blocks || tokens.wanted == 0) return;
  const Bin bin = parts.found[part.set];
  const Passed held = narrowPart(selection, parts, tokens, part, bin.bin);
  if (threadIdx.x == 0) parts.passed[int64_t{part.set} * parts.parts + part.part] = held;
  if (!isLastBlock(&parts.arrivals[part.set], part.blocks)) return;
  const unsigned *candidates = parts.candidates + part.set * selection.stride;
  const Cut cut = findCut(selectionRoom(), bin, [&](auto look) {
    for (int other = threadIdx.x / WARP; other < part.blocks; other += blockDim.x / WARP) {
      const unsigned count = parts.passed[int64_t{part.set} * parts.parts + other].equal;
      const unsigned *weights = candidates + int64_t{other} * part.tokens;
      for (unsigned i = threadIdx.x % WARP; i < count; i += WARP) look(weights[i]);
    }
  });
  if (threadIdx.x == 0) parts.cuts[part.set] = cut;
  passParts(parts, part, candidates, freeBitsOf(bin.bin) > 0, cut.threshold);
}

static __global__ void __launch_bounds__(SELECT_THREADS) writeParts(Selection selection, SelectionParts parts) {
  const TokenSet tokens = selection.tokensOf(blockIdx.x / parts.parts);
  const Part part = partOf(parts, tokens, blockIdx.x);
  if (part.part >= part.blocks) return;
  const int64_t first = int64_t{part.set} * parts.parts;
  const bool chooses = tokens.wanted > 0;
  loadHeads(selection, part.set);
  __syncthreads();
  float *masses = parts.masses + first * selection.g;
  writeSelected(selection, part.set, tokens, chooses ? parts.cuts[part.set] : Cut{0, 0},
                chooses ? parts.passed[first + part.part] : Passed{0, 0}, part.first, part.end,
                selection.weights + part.set * selection.stride, masses + part.part * selection.g);
  if (part.part == 0 && threadIdx.x == 0) selection.counts[part.set] = min(tokens.count(), selection.K);
  if (!isLastBlock(&parts.arrivals[part.set], part.blocks)) return;
  const int lane = threadIdx.x % WARP;
  for (int q = threadIdx.x / WARP; q < selection.g; q += blockDim.x / WARP) {
    float mass = 0;
    for (int other = lane; other < part.blocks; other += WARP) mass += masses[int64_t{other} * selection.g + q];
    mass = warpSum(mass);
    if (lane == 0) selection.tailMass[int64_t{part.set} * selection.g + q] = mass;
  }
}

}  // namespace ds
