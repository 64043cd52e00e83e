#include <algorithm>

#include "stream.cuh"

namespace ds {

constexpr int THREADS = 256;
/* Loads of a thread under way at once: a row of memory on the host's side of a bus is a microsecond away. */
constexpr int FETCHED = 8;

/*
 * staging [T·Hk, K, units] ← the selected rows of kv [slots, Hk, S, units]: K and V of a token, in units of what one load takes.
 * `parts` blocks share a list.
 */
template <class Unit>
static __global__ void __launch_bounds__(THREADS) fetchRows(Unit *staging, const Unit *kv, const int *indices, const int *counts,
                                                            const Row *rows, int Hk, int S, int K, int units, int parts) {
  const int list = blockIdx.x / parts, part = blockIdx.x % parts;
  const Row row = rows[list / Hk];
  const int64_t head = (int64_t{row.y} * Hk + list % Hk) * S, first = int64_t{list} * K;
  const int count = min(counts[list], K) * units;
  for (int start = part * FETCHED * THREADS + threadIdx.x; start < count; start += parts * FETCHED * THREADS) {
    Unit fetched[FETCHED];
    bool isThere[FETCHED];
#pragma unroll
    for (int i = 0; i < FETCHED; i++) {
      const int at = start + i * THREADS;
      const int n = at < count ? indices[first + at / units] : row.z;
      /* The row itself is left out. */
      isThere[i] = n != row.z;
      if (isThere[i]) fetched[i] = kv[(head + n) * units + at % units];
    }
#pragma unroll
    for (int i = 0; i < FETCHED; i++) {
      if (isThere[i]) staging[first * units + start + i * THREADS] = fetched[i];
    }
  }
}

template <class Unit>
static void launchFetch(ds_stream *stream, ds_tensor *staging, ds_tensor *kv, ds_tensor *indices, ds_tensor *counts,
                        int64_t bytes) {
  const int lists = staging->shape[0] * staging->shape[1], K = staging->shape[2], units = bytes / sizeof(Unit);
  const int most = divideUp(int64_t{K} * units, int64_t{FETCHED * THREADS});
  const int parts = std::clamp(2 * stream->facts.multiprocessors / lists, 1, most);
  launch(stream, {dim3(lists * parts), THREADS}, fetchRows<Unit>, dataOf<Unit>(staging), dataOf<Unit>(kv), dataOf<int>(indices),
         dataOf<int>(counts), stream->rows, static_cast<int>(kv->shape[1]), static_cast<int>(kv->shape[2]), K, units, parts);
}

}  // namespace ds

ds_status ds_fetch_rows(ds_stream *stream, ds_tensor *staging, ds_tensor *kv, ds_tensor *indices, ds_tensor *counts) {
  using namespace ds;
  return guarded([&] {
    /* Of a token's K and V: at least 4, and a multiple of that. */
    const int64_t bytes = 2 * columnsOf(kv) * (kv->dtype == DS_F32 ? 4 : 2);
    bytes % 16 == 0 ? launchFetch<uint4>(stream, staging, kv, indices, counts, bytes)
                    : launchFetch<unsigned>(stream, staging, kv, indices, counts, bytes);
  });
}
