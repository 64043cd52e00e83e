/* Attention of rows of any kind by plain arithmetic: for caches of f32, and channels that tensor cores and wide copies do not take. */
#pragma once

#include "attend_parts.cuh"

namespace ds {

namespace plain {

constexpr int WARPS = 4;
constexpr int THREADS = WARPS * WARP;
/* Tokens gone through together: a lane each. */
constexpr int TILE = WARP;
/* Lanes that share a token's logits, one per head. */
constexpr int LANES = HEADS;
constexpr int HEADS_PER_WARP = HEADS / WARPS;

/* A block's shared memory, in floats. */
struct Room {
  float *queries, *totals, *weights, *factors, *sums;
  float4 *headers;
  int *places;
  int pitch;
};

__host__ __device__ inline int64_t floatsOf(int width) {
  return (2 * HEADS + 1) * 4 * width + (HEADS + 1) * TILE + 5 * HEADS + 2 * WARPS * HEADS + TILE;
}

__device__ inline Room roomOf(const Attention &a, unsigned char *shared) {
  Room room;
  room.pitch = a.width * 4;
  room.headers = reinterpret_cast<float4 *>(shared);
  room.queries = reinterpret_cast<float *>(room.headers + HEADS);
  room.totals = room.queries + HEADS * room.pitch;
  room.weights = room.totals + (HEADS + 1) * room.pitch;
  room.factors = room.weights + (HEADS + 1) * TILE;
  room.sums = room.factors + HEADS;
  room.places = reinterpret_cast<int *>(room.sums + 2 * WARPS * HEADS);
  return room;
}

/* Logits of a tile, and the tail's sums over them of this lane's head: differences and tokens. */
template <class T>
__device__ inline void makeLogits(const Attention &a, const Seat &seat, const Tokens &tokens, const KvRows<T> &kvRows,
                                  const Room &room, int start, float perScore, float (&tail)[2]) {
  const int lane = threadIdx.x % LANES;
  for (int at = threadIdx.x / LANES; at < TILE; at += THREADS / LANES) {
    const int i = min(start + at, tokens.end - 1);
    const int token = a.indices != nullptr ? tokens.tokenOf<true>(i) : tokens.tokenOf<false>(i);
    const int place = tokens.placeOf(i, token);
    const T *key = kvRows.at(place, a.d);
    float dots[HEADS] = {};
    for (int c = lane; c < a.d; c += LANES) {
      const float value = toFloat(key[c]);
#pragma unroll
      for (int h = 0; h < HEADS; h++) {
        if (h < seat.heads) dots[h] += room.queries[h * room.pitch + c] * value;
      }
    }
    float logit = 0;
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      if (h >= seat.heads) continue;
      for (int lanes = LANES / 2; lanes > 0; lanes /= 2) dots[h] += __shfl_xor_sync(ALL_LANES, dots[h], lanes);
      if (lane == h) logit = dots[h] * a.scale;
    }
    const bool isSelected = start + at < tokens.selectedEnd;
    room.weights[lane * TILE + at] = isSelected ? logit : LOWEST;
    if (lane == 0) {
      room.weights[HEADS * TILE + at] = isSelected ? -1 : start + at < tokens.end ? 1 : 0;
      room.places[at] = place;
    }
    const bool isFree = token >= a.sinkTokens && token < tokens.position - a.recentTokens;
    if (a.tailMass != nullptr && lane < seat.heads && isSelected && isFree) {
      const float score = static_cast<float>(a.scores[(int64_t{seat.t} * a.Hq + seat.firstHead + lane) * a.S + token]);
      tail[0] += logit - perScore * score;
      tail[1] += 1;
    }
  }
}

/* Leaves the parts of a share that has tokens. */
template <class T>
__device__ inline void attendShare(const Attention &a, const Seat &seat, const Tokens &tokens, unsigned char *shared) {
  const Room room = roomOf(a, shared);
  const KvRows<T> kvRows = kvRowsOf<T>(a, seat);
  const int thread = threadIdx.x, lane = thread % WARP, warp = thread / WARP;
  const int rowsLeft = seat.heads + (a.tailMass != nullptr);
  const float *queries = a.qkv + (int64_t{seat.t} * (a.Hq + 2 * a.Hk) + seat.firstHead) * a.d;
  for (int i = thread; i < seat.heads * a.d; i += THREADS) room.queries[i / a.d * room.pitch + i % a.d] = queries[i];
  for (int i = thread; i < (HEADS + 1) * room.pitch; i += THREADS) room.totals[i] = 0;
  float perScore = 0, tail[2] = {};
  const int ownHead = thread % LANES;
  if (a.tailMass != nullptr && ownHead < seat.heads) perScore = logitPerScore(a, int64_t{seat.t} * a.Hq + seat.firstHead + ownHead);
  float bases[HEADS_PER_WARP], sums[HEADS_PER_WARP];
  for (int i = 0; i < HEADS_PER_WARP; i++) bases[i] = LOWEST, sums[i] = 0;
  __syncthreads();

  for (int start = tokens.begin; start < tokens.end; start += TILE) {
    makeLogits(a, seat, tokens, kvRows, room, start, perScore, tail);
    __syncthreads();

#pragma unroll
    for (int i = 0; i < HEADS_PER_WARP; i++) {
      const int h = warp + i * WARPS;
      if (h >= seat.heads) continue;
      float *weight = room.weights + h * TILE + lane;
      const float base = fmaxf(bases[i], warpMax(*weight));
      const float factor = exp2f(bases[i] - base);
      *weight = start + lane < tokens.selectedEnd ? exp2f(*weight - base) : 0;
      sums[i] = sums[i] * factor + *weight;
      bases[i] = base;
      if (lane == 0) room.factors[h] = factor;
    }
    __syncthreads();

    const int count = min(TILE, tokens.end - start);
    for (int c = thread; c < a.d; c += THREADS) {
      float products[HEADS] = {}, others = 0;
#pragma unroll 4
      for (int at = 0; at < count; at++) {
        const float value = toFloat(kvRows.at(room.places[at], a.d)[a.d + c]);
        others += room.weights[HEADS * TILE + at] * value;
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
          if (h < seat.heads) products[h] += room.weights[h * TILE + at] * value;
        }
      }
#pragma unroll
      for (int h = 0; h < HEADS; h++) {
        float *total = room.totals + h * room.pitch + c;
        if (h < seat.heads) *total = *total * room.factors[h] + products[h];
      }
      room.totals[HEADS * room.pitch + c] += others;
    }
    __syncthreads();
  }

#pragma unroll
  for (int i = 0; i < HEADS_PER_WARP; i++) {
    const int h = warp + i * WARPS;
    const float sum = warpSum(sums[i]);
    if (h < seat.heads && lane == 0) room.headers[h] = make_float4(bases[i], sum, 0, 0);
  }
  for (int i = 0; i < 2; i++) {
    for (int lanes = LANES; lanes < WARP; lanes *= 2) tail[i] += __shfl_xor_sync(ALL_LANES, tail[i], lanes);
    if (lane < HEADS) room.sums[(i * WARPS + warp) * HEADS + lane] = tail[i];
  }
  __syncthreads();
  for (int i = thread; i < rowsLeft * a.width; i += THREADS) {
    const int h = i / a.width, at = i % a.width;
    const bool isHead = h < seat.heads;
    float4 *part = partOf(a, seat.share, isHead ? h : a.headsPerBlock);
    part[1 + at] = *reinterpret_cast<const float4 *>(room.totals + (isHead ? h : HEADS) * room.pitch + at * 4);
    if (at > 0) continue;
    float4 header = isHead ? room.headers[h] : make_float4(0, 0, 0, 0);
    for (int other = 0; isHead && other < WARPS; other++) {
      header.z += room.sums[other * HEADS + h];
      header.w += room.sums[(WARPS + other) * HEADS + h];
    }
    *part = header;
  }
}

template <class T>
static __global__ void __launch_bounds__(THREADS) attendPlain(const Attention a) {
  unsigned char *shared = dynamicShared();
  const Seat seat = seatOf(a);
  const Tokens tokens = tokensOf(a, seat);
  if (tokens.begin < tokens.end) attendShare<T>(a, seat, tokens, shared);
  else leaveNoParts(a, seat);
  finishParts(a, seat, tokens.count, shared);
}

}  // namespace plain

}  // namespace ds
