#include "last_block.cuh"
#include "stream.cuh"
#include "sum_values.cuh"

namespace ds {

constexpr int THREADS = 256;
/* Rows of a block in a step of many. */
constexpr int ROWS = 4;

struct Appending {
  const Row *rows;
  /* f32 [T, Hq + 2·Hk, d] */
  const float *qkv;
  /* u32 [slots, Hk, S, W], or null; [Hk, C] each */
  unsigned *words;
  const int *channels;
  const float *zero, *inverseStep;
  /* f32 [slots, Hk, entries, d], or null; [Hk]: blocks done, 0 between launches */
  float *sums;
  unsigned *arrivals;
  int T, heads, Hk, d, S, wide, narrow, entries;
  bool isChunk;
};

template <class T, int COUNT>
__device__ inline void appendRows(const Appending &task, T *kv, int h, int firstRow, int rows) {
  const int packs = task.d / COUNT;
  for (int i = threadIdx.x; i < rows * 2 * packs; i += THREADS) {
    const int t = firstRow + i / (2 * packs), part = i / packs % 2, c = i % packs * COUNT;
    const int64_t key = (int64_t{t} * task.heads + task.heads - 2 * task.Hk + h) * task.d;
    const Row row = task.rows[t];
    const auto from = *reinterpret_cast<const Pack<float, COUNT> *>(task.qkv + key + part * task.Hk * task.d + c);
    Pack<T, COUNT> to;
    for (int k = 0; k < COUNT; k++) to.values[k] = Float<T>::from(from.values[k]);
    const int64_t place = (int64_t{row.y} * task.Hk + h) * task.S + row.w;
    *reinterpret_cast<Pack<T, COUNT> *>(kv + (place * 2 + part) * task.d + c) = to;
  }
}

/* Codes of BITS bits in one word; c: the first of their channels in [Hk, C]. */
template <int BITS>
__device__ inline unsigned labelWord(const Appending &task, const float *key, int c) {
  constexpr float LARGEST = (1 << BITS) - 1;
  unsigned word = 0;
#pragma unroll
  for (int j = 0; j < 32 / BITS; j++) {
    const float difference = __fsub_rn(key[task.channels[c + j]], task.zero[c + j]);
    const float code = rintf(__fmul_rn(difference, task.inverseStep[c + j]));
    /* A NaN is not above 0. */
    word |= (code > 0 ? static_cast<unsigned>(fminf(code, LARGEST)) : 0) << (BITS * j);
  }
  return word;
}

__device__ inline void appendLabels(const Appending &task, int h, int firstRow, int rows) {
  const int C = task.wide + task.narrow, wideWords = task.wide / 8, W = wideWords + task.narrow / 16;
  for (int i = threadIdx.x; i < rows * W; i += THREADS) {
    const int t = firstRow + i / W, word = i % W;
    const Row row = task.rows[t];
    const float *key = task.qkv + (int64_t{t} * task.heads + task.heads - 2 * task.Hk + h) * task.d;
    const int64_t place = (int64_t{row.y} * task.Hk + h) * task.S + row.w;
    task.words[place * W + word] = word < wideWords ? labelWord<4>(task, key, h * C + word * 8)
                                                    : labelWord<2>(task, key, h * C + task.wide + (word - wideWords) * 16);
  }
}

/* Whether a row of the step ends an entry, and no private one. */
__device__ inline bool completes(const Row &row) { return row.w == row.z && (row.z + 1) % SUM_TOKENS == 0; }

/* Whether the step has that token, and not as a private row; the same for the whole block. */
__device__ inline bool hasRow(const Appending &task, int slot, int position) {
  bool isFound = false;
  for (int t = threadIdx.x; t < task.T; t += THREADS) {
    const Row row = task.rows[t];
    isFound = isFound || (row.y == slot && row.z == position && row.w == position);
  }
  return __syncthreads_count(isFound) > 0;
}

__device__ inline bool completesAny(const Appending &task) {
  if (task.isChunk) return (task.rows[0].z + task.T) / SUM_TOKENS > task.rows[0].z / SUM_TOKENS;
  bool isFound = false;
  for (int t = threadIdx.x; t < task.T; t += THREADS) isFound = isFound || completes(task.rows[t]);
  return __syncthreads_count(isFound) > 0;
}

/* The entries that the step's rows complete, of KV head h of all slots. All values must lie in the cache. */
template <class T, int COUNT>
__device__ inline void sumHead(const Appending &task, const T *kv, int h, float *room) {
  const auto sum = [&](int slot, int first, int end) {
    const int64_t head = int64_t{slot} * task.Hk + h;
    sumValues<T, COUNT>(task.sums + head * task.entries * task.d, kv + head * task.S * 2 * task.d, task.d, first,
                        min(end, task.entries), room);
  };
  if (task.isChunk) {
    const Row row = task.rows[0];
    return sum(row.y, row.z / SUM_TOKENS + 1, (row.z + task.T) / SUM_TOKENS + 1);
  }
  for (int start = 0; start < task.T; start += WARP) {
    const int t = start + threadIdx.x % WARP;
    unsigned left = __ballot_sync(ALL_LANES, t < task.T && completes(task.rows[min(t, task.T - 1)]));
    for (; left != 0; left &= left - 1) {
      const Row row = task.rows[start + __ffs(left) - 1];
      /* Each entry builds on the one before: the first of several in a slot goes on to the others. */
      if (hasRow(task, row.y, row.z - SUM_TOKENS)) continue;
      const int first = (row.z + 1) / SUM_TOKENS;
      int end = first + 1;
      while (hasRow(task, row.y, end * SUM_TOKENS - 1)) end++;
      sum(row.y, first, end);
    }
  }
}

/* K, V and label of some rows and one KV head, at the rows' homes; the last block of a head goes on to the sums that are complete. */
template <class T, int COUNT>
static __global__ void __launch_bounds__(THREADS) appendKv(Appending task, T *kv, int rowsPerBlock) {
  const int h = blockIdx.x % task.Hk, firstRow = blockIdx.x / task.Hk * rowsPerBlock;
  const int rows = min(rowsPerBlock, task.T - firstRow);
  appendRows<T, COUNT>(task, kv, h, firstRow, rows);
  if (task.words != nullptr) appendLabels(task, h, firstRow, rows);
  if (task.sums == nullptr || !completesAny(task)) return;
  if (!isLastBlock(&task.arrivals[h], gridDim.x / task.Hk)) return;
  sumHead<T, COUNT>(task, kv, h, reinterpret_cast<float *>(dynamicShared()));
}

}  // namespace ds

ds_status ds_append_kv(ds_stream *stream, ds_tensor *kv, ds_tensor *qkv, int32_t wide, int32_t narrow, ds_tensor *words,
                       ds_tensor *channels, ds_tensor *zero, ds_tensor *inverse_step, ds_tensor *value_sums) {
  using namespace ds;
  return guarded([&] {
    const int T = stream->T, Hk = kv->shape[1], d = columnsOf(kv);
    const Appending task = {stream->rows,
                            dataOf<float>(qkv),
                            dataOf<unsigned>(words),
                            dataOf<int>(channels),
                            dataOf<float>(zero),
                            dataOf<float>(inverse_step),
                            dataOf<float>(value_sums),
                            stream->scratchOf<unsigned>("value sums: arrivals", Hk, true),
                            T,
                            static_cast<int>(qkv->shape[1]),
                            Hk,
                            d,
                            static_cast<int>(kv->shape[2]),
                            wide,
                            narrow,
                            value_sums == nullptr ? 0 : static_cast<int>(value_sums->shape[2]),
                            stream->isChunk};
    const int rowsPerBlock = T < 64 ? 1 : ROWS;
    const dim3 blocks(divideUp(T, rowsPerBlock) * Hk);
    withFloatType(kv->dtype, "a cache", [&](auto type) {
      using Type = decltype(type);
      const auto run = [&](auto kernel, int count) {
        const size_t room = sizeof(float) * std::max(THREADS * count, d);
        launch(stream, {blocks, THREADS, room}, kernel, task, dataOf<Type>(kv), rowsPerBlock);
      };
      d % 4 == 0 ? run(appendKv<Type, 4>, 4) : run(appendKv<Type, 1>, 1);
    });
  });
}
