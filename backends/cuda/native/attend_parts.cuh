/*
 * What a block finds over its share of a row's tokens, and how the last block of a row and set puts the shares together.
 *
 * A part is a float4 as header, then `width` of them: of a head, Σ 2^(logit - base)·V under
 * (base, Σ 2^(logit - base), Σ (logit - μ·score) over the selected tokens that were not forced, their number); after those of the
 * heads one of their set, ΣV of the tokens after the last entry of valueSums less that of the selected, under nothing.
 */
#pragma once

#include "attention.cuh"

namespace ds {

__device__ inline float4 *partOf(const Attention &a, int share, int h) {
  const int64_t block = int64_t{blockIdx.z} * gridDim.y + blockIdx.y;
  return a.parts + ((block * a.shares + share) * (a.headsPerBlock + 1) + h) * (1 + a.width);
}

/* From the part of one share to that of the next. */
__device__ inline int64_t partStride(const Attention &a) { return int64_t{a.headsPerBlock + 1} * (1 + a.width); }

/* Of a share without tokens. */
__device__ inline void leaveNoParts(const Attention &a, const Seat &seat) {
  float4 *part = partOf(a, seat.share, 0);
  for (int i = threadIdx.x; i < partStride(a); i += blockDim.x) part[i] = make_float4(i % (1 + a.width) == 0 ? LOWEST : 0, 0, 0, 0);
}

__device__ inline void addTimes(float4 &sum, float factor, float4 four) {
  sum.x += factor * four.x;
  sum.y += factor * four.y;
  sum.z += factor * four.z;
  sum.w += factor * four.w;
}

/* Σ factor(share) · parts[share · stride]. */
template <class Factor>
__device__ inline float4 sumOfParts(const float4 *parts, int64_t stride, int shares, Factor factor) {
  /* Read together, as each takes its time. */
  constexpr int TOGETHER = 8;
  float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 1
  for (int first = 0; first < shares; first += TOGETHER) {
    float4 fours[TOGETHER];
#pragma unroll
    for (int i = 0; i < TOGETHER; i++) fours[i] = __ldcg(parts + min(first + i, shares - 1) * stride);
#pragma unroll
    for (int i = 0; i < TOGETHER; i++) addTimes(sum, first + i < shares ? factor(first + i) : 0, fours[i]);
  }
  return sum;
}

/* Four of the `count` values of a row; 0 beyond. */
__device__ inline float4 fourOf(const float *row, int at, int count) {
  if (count % 4 == 0) return reinterpret_cast<const float4 *>(row)[at / 4];
  float four[4];
  for (int i = 0; i < 4; i++) four[i] = at + i < count ? row[at + i] : 0;
  return make_float4(four[0], four[1], four[2], four[3]);
}

__device__ inline void leaveFour(float *row, int at, int count, float4 sum, float factor) {
  const float4 four = make_float4(sum.x * factor, sum.y * factor, sum.z * factor, sum.w * factor);
  if (count % 4 == 0) {
    reinterpret_cast<float4 *>(row)[at / 4] = four;
    return;
  }
  const float values[] = {four.x, four.y, four.z, four.w};
  for (int i = 0; i < 4; i++) {
    if (at + i < count) row[at + i] = values[i];
  }
}

/* Of a head put together. */
struct Whole {
  float sum, tail;
};

/* Bytes of shared memory that mergeParts needs. */
__host__ __device__ inline int64_t mergeBytes(int shares, int width) {
  return HEADS * sizeof(Whole) + width * sizeof(float4) + HEADS * shares * sizeof(float);
}

/* One warp: 2^(base - the largest base) of each share of head h, and what its sums come to. */
__device__ inline void mergeHead(const Attention &a, const Seat &seat, int h, bool hasTail, float *factors, Whole *whole) {
  const int lane = threadIdx.x % WARP;
  const float4 *headers = partOf(a, 0, h);
  float base = LOWEST;
#pragma unroll 1
  for (int share = lane; share < a.shares; share += WARP) base = fmaxf(base, __ldcg(headers + share * partStride(a)).x);
  base = warpMax(base);
  float sum = 0, differences = 0, freeTokens = 0;
#pragma unroll 1
  for (int share = lane; share < a.shares; share += WARP) {
    const float4 header = __ldcg(headers + share * partStride(a));
    const float factor = exp2f(header.x - base);
    factors[share] = factor;
    sum += factor * header.y;
    differences += header.z;
    freeTokens += header.w;
  }
  sum = warpSum(sum);
  differences = warpSum(differences);
  freeTokens = warpSum(freeTokens);
  if (lane > 0) return;
  float tail = 0;
  if (hasTail && freeTokens > 0) {
    const int64_t head = int64_t{seat.t} * a.Hq + seat.firstHead + h;
    const float mass = a.tailMass[head];
    const float shift = differences / freeTokens + logitPerScore(a, head) * static_cast<float>(a.maxima[head]);
    /* Beyond such an exponent the cap holds anyway. */
    if (mass > 0) tail = fminf(mass * exp2f(fminf(shift - base, 100.0f)), sum / 9);
  }
  *whole = {sum, tail};
}

/* One warp: mean V of the `count` tokens that were not selected. */
__device__ inline void mergeOthers(const Attention &a, const Seat &seat, int count, float4 *others) {
  const float *sums = a.valueSums + (seat.slotHead * a.entries + seat.row.z / VALUE_SUM_TOKENS) * a.d;
  const float fraction = 1 / static_cast<float>(count);
  for (int i = threadIdx.x % WARP; i < a.width; i += WARP) {
    float4 sum = sumOfParts(partOf(a, 0, a.headsPerBlock) + 1 + i, partStride(a), a.shares, [](int) { return 1.0f; });
    addTimes(sum, 1, fourOf(sums, i * 4, a.d));
    others[i] = make_float4(sum.x * fraction, sum.y * fraction, sum.z * fraction, sum.w * fraction);
  }
}

/* out ← the parts of this block's row and heads, and the tail; `shared` is no longer in use for anything else. */
__device__ inline void mergeParts(const Attention &a, const Seat &seat, int count, unsigned char *shared) {
  auto *others = reinterpret_cast<float4 *>(shared);
  auto *wholes = reinterpret_cast<Whole *>(others + a.width);
  auto *factors = reinterpret_cast<float *>(wholes + HEADS);
  const int left = seat.row.z + 1 - count;
  const bool hasTail = a.tailMass != nullptr && left > 0;
  const int warps = blockDim.x / WARP;
  for (int task = threadIdx.x / WARP; task < seat.heads + hasTail; task += warps) {
    if (task < seat.heads) mergeHead(a, seat, task, hasTail, factors + task * a.shares, wholes + task);
    else mergeOthers(a, seat, left, others);
  }
  __syncthreads();

  for (int i = threadIdx.x; i < seat.heads * a.width; i += blockDim.x) {
    const int h = i / a.width, at = i % a.width;
    const float *ofHead = factors + h * a.shares;
    float4 total = sumOfParts(partOf(a, 0, h) + 1 + at, partStride(a), a.shares, [=](int share) { return ofHead[share]; });
    const Whole whole = wholes[h];
    if (whole.tail > 0) addTimes(total, whole.tail, others[at]);
    float *out = a.out + (int64_t{seat.t} * a.Hq + seat.firstHead + h) * a.d;
    leaveFour(out, at * 4, a.d, total, 1 / (whole.sum + whole.tail));
  }
}

/* The end of every block: the last one of its row and heads puts the parts together. */
__device__ inline void finishParts(const Attention &a, const Seat &seat, int count, unsigned char *shared) {
  if (a.shares == 1) {
    __syncthreads();
  } else if (!isLastBlock(a.arrivals + int64_t{blockIdx.z} * gridDim.y + blockIdx.y, a.shares)) {
    return;
  }
  mergeParts(a, seat, count, shared);
}

}  // namespace ds
