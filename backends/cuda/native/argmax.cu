#include "stream.cuh"

namespace ds {

constexpr int THREADS = 256;
/* Logits of a block, so that a vocabulary is read by many. */
constexpr int PER_BLOCK = 8192;

/* Larger for a larger logit, and at equal ones for the lower place. Of what is no number only the first is taken. */
__device__ static unsigned long long rankOf(float logit, int64_t place) {
  const unsigned bits = __float_as_uint(logit + 0.0f);
  unsigned order = bits >> 31 ? ~bits : bits | 0x80000000u;
  if (logit != logit) order = place == 0 ? ~0u : 0;
  return static_cast<unsigned long long>(order) << 32 | (~static_cast<unsigned>(place));
}

__device__ static unsigned long long blockMax(unsigned long long best, unsigned long long *room) {
  for (int lanes = WARP / 2; lanes > 0; lanes /= 2) {
    const unsigned long long other = __shfl_xor_sync(ALL_LANES, best, lanes);
    best = other > best ? other : best;
  }
  if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = best;
  __syncthreads();
  for (int warp = 0; warp < THREADS / WARP; warp++) best = room[warp] > best ? room[warp] : best;
  return best;
}

/* token [R] = place of the largest of logits [R, V]. `parts` [R, blocks]; `arrived` [R], all 0 before and after. */
static __global__ void argmax(int *token, const float *logits, int64_t V, unsigned long long *parts, unsigned *arrived) {
  __shared__ unsigned long long room[THREADS / WARP];
  __shared__ bool isLast;
  const int64_t r = blockIdx.x;
  const int64_t first = int64_t{blockIdx.y} * PER_BLOCK;
  const int64_t end = first + PER_BLOCK < V ? first + PER_BLOCK : V;
  unsigned long long best = 0;
  for (int64_t i = first + threadIdx.x; i < end; i += THREADS) {
    const unsigned long long rank = rankOf(logits[r * V + i], i);
    best = rank > best ? rank : best;
  }
  best = blockMax(best, room);
  if (threadIdx.x == 0) {
    parts[r * gridDim.y + blockIdx.y] = best;
    __threadfence();
    isLast = atomicAdd(&arrived[r], 1u) == gridDim.y - 1;
  }
  __syncthreads();
  if (!isLast) return;
  __threadfence();
  best = 0;
  for (unsigned i = threadIdx.x; i < gridDim.y; i += THREADS) {
    const unsigned long long rank = __ldcg(&parts[r * gridDim.y + i]);
    best = rank > best ? rank : best;
  }
  best = blockMax(best, room);
  if (threadIdx.x != 0) return;
  token[r] = static_cast<int>(~static_cast<unsigned>(best));
  arrived[r] = 0;
}

}  // namespace ds

ds_status ds_argmax(ds_stream *stream, ds_tensor *token, ds_tensor *logits) {
  using namespace ds;
  return guarded([&] {
    const int64_t R = logits->shape[0];
    const int64_t V = columnsOf(logits);
    const int64_t blocks = divideUp<int64_t>(V, PER_BLOCK);
    auto *parts = stream->scratchOf<unsigned long long>("argmax: parts", R * blocks);
    auto *arrived = stream->scratchOf<unsigned>("argmax: arrived", R, true);
    launch(stream, {dim3(R, blocks), THREADS}, argmax, dataOf<int>(token), dataOf<const float>(logits), V, parts, arrived);
  });
}
