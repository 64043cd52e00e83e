/*
 * Attention of rows of any kind, each by itself: what its kernels are told, and which tokens a block of them attends to.
 *
 * A block per [share of the tokens, set and up to HEADS of its query heads, row]. A row's tokens are either all that it sees or a
 * list of selected ones. A tail needs ΣV of those not selected, so after the selected tokens the blocks go through those that the
 * last entry of valueSums does not hold, the row itself the last of them: `rest` tokens, of which only V is read.
 */
#pragma once

#include "device.cuh"
#include "last_block.cuh"

namespace ds {

/* Query heads of one set in a block, at most. */
constexpr int HEADS = 8;
/* Shares of a row's tokens are whole numbers of these. */
constexpr int SHARE_GRAIN = 16;
/* Tokens per entry of valueSums. */
constexpr int VALUE_SUM_TOKENS = 64;
/* Below every logit, and far from where sums with it overflow. */
constexpr float LOWEST = -1e30f;
constexpr float LOG2_E = 1.44269504088896340736f;

struct Attention {
  /* f32 [T, Hq, d] */
  float *out;
  /* f32 [T, Hq + 2·Hk, d] */
  const float *qkv;
  /* [slots, Hk, S, 2, d] */
  const void *kv;
  const Row *rows;
  int T, Hq, Hk, d;
  int64_t S;
  /* Of logits to the base 2. */
  float scale;
  /* A row sees itself and window - 1 tokens before it; 0: all. */
  int window;

  /* Sets of tokens per row; heads of a set, sets of a KV head. */
  int H, headsPerSet, setsPerKvHead;
  /* Blocks per set and row, each for headsPerBlock of its heads, and shares of the tokens. */
  int blocksPerSet, headsPerBlock, shares;
  /* What the shares came to, see attend_parts.cuh: [T, H, blocksPerSet, shares, headsPerBlock + 1, 1 + width]. */
  float4 *parts;
  int width;
  /* [T, H, blocksPerSet] */
  unsigned *arrivals;

  /* i32 [T, H, K] and [T, H]; null: every token. */
  const int *indices, *counts;
  int64_t K;
  /* [T, H, K, 2, d], or null. */
  const void *staging;

  /* The tail's: f32 [T, Hq] (null: no tail), i32 [T, Hq, S], i32 [T, Hq], i32 [T, Hq], f32 [slots, Hk, entries, d]. */
  const float *tailMass;
  const int *scores, *exponents, *maxima;
  const float *valueSums;
  int64_t entries;
  int sinkTokens, recentTokens;
  /* Times 2^-exponent: μ of scores for logits to the base 2. */
  float logitPerScore;
};

/* What a block is there for. */
struct Seat {
  int t, set;
  /* Its heads: of the row's Hq, and how many. */
  int firstHead, heads;
  /* Of [slots, Hk]. */
  int64_t slotHead;
  int share;
  Row row;
};

__device__ inline Seat seatOf(const Attention &a) {
  Seat seat;
  seat.t = blockIdx.z;
  seat.set = blockIdx.y / a.blocksPerSet;
  const int first = (blockIdx.y - seat.set * a.blocksPerSet) * a.headsPerBlock;
  seat.firstHead = seat.set * a.headsPerSet + first;
  seat.heads = min(a.headsPerBlock, a.headsPerSet - first);
  seat.share = blockIdx.x;
  seat.row = a.rows[seat.t];
  seat.slotHead = int64_t{seat.row.y} * a.Hk + seat.set / a.setsPerKvHead;
  return seat;
}

/* μ of the scores of a head of [T · Hq], for logits to the base 2. */
__device__ inline float logitPerScore(const Attention &a, int64_t head) { return ldexpf(a.logitPerScore, -a.exponents[head]); }

/* The tokens of a row's set, by their place in the order they are gone through. */
struct Tokens {
  int position, home;
  /* Attended to; then `rest`, whose first is firstRest. */
  int count, rest, firstRest;
  /* The first where all are seen. */
  int first;
  const int *list;
  bool isStaged;
  /* The block's own, and the end of those among them that are attended to. */
  int begin, end, selectedEnd;

  /* Its place in the slot, the row itself being at `position`. */
  template <bool IS_SELECTED>
  __device__ int tokenOf(int i) const {
    return !IS_SELECTED ? first + i : i < count ? list[i] : firstRest + i - count;
  }
  /* Where its K and V are: row p of the set's own rows, or row ~p of the slot's. */
  __device__ int placeOf(int i, int token) const {
    const int cached = token == position ? home : token;
    return !isStaged ? cached : i < count && token != position ? i : ~cached;
  }
};

__device__ inline Tokens tokensOf(const Attention &a, const Seat &seat) {
  Tokens tokens;
  tokens.position = seat.row.z;
  tokens.home = seat.row.w;
  const int kvLen = tokens.position + 1;
  const int64_t list = int64_t{seat.t} * a.H + seat.set;
  tokens.list = a.indices == nullptr ? nullptr : a.indices + list * a.K;
  tokens.isStaged = a.staging != nullptr;
  tokens.count = a.counts != nullptr ? a.counts[list] : a.window > 0 ? min(kvLen, a.window) : kvLen;
  tokens.first = kvLen - tokens.count;
  tokens.firstRest = tokens.position / VALUE_SUM_TOKENS * VALUE_SUM_TOKENS;
  tokens.rest = a.tailMass != nullptr && tokens.count < kvLen ? kvLen - tokens.firstRest : 0;
  const int all = tokens.count + tokens.rest;
  const Share share = shareOf(max(all, 1), a.shares, SHARE_GRAIN);
  tokens.begin = min(all, seat.share * share.tokens);
  tokens.end = min(all, tokens.begin + share.tokens);
  tokens.selectedEnd = min(tokens.count, tokens.end);
  return tokens;
}

/* Rows of K and V that places count from. */
template <class T>
struct KvRows {
  const T *own, *cached;
  __device__ const T *at(int place, int d) const {
    return (place >= 0 ? own + int64_t{place} * 2 * d : cached + int64_t{~place} * 2 * d);
  }
};

template <class T>
__device__ inline KvRows<T> kvRowsOf(const Attention &a, const Seat &seat) {
  const T *cached = static_cast<const T *>(a.kv) + seat.slotHead * a.S * 2 * a.d;
  if (a.staging == nullptr) return {cached, cached};
  return {static_cast<const T *>(a.staging) + (int64_t{seat.t} * a.H + seat.set) * a.K * 2 * a.d, cached};
}

}  // namespace ds
