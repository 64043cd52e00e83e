/* Kernels with a known mistake, or none, that show what the build that counts races tells of. */
#include "async_copy.cuh"

namespace ds {

constexpr int THREADS = 64;

/* What lies between a thread's write and its neighbour's read. */
enum Order { NOTHING, SHUFFLE, WARP_BARRIER, BARRIER };

template <Order ORDER>
static __device__ void order() {
  if (ORDER == SHUFFLE) __shfl_sync(0xffffffffu, 0, 0);
  if (ORDER == WARP_BARRIER) __syncwarp();
  if (ORDER == BARRIER) __syncthreads();
}

/* Each thread reads what the one `by` before it wrote. */
template <Order ORDER>
static __global__ void passOn(int *out, int by) {
  __shared__ int values[THREADS];
  values[threadIdx.x] = threadIdx.x;
  order<ORDER>();
  out[threadIdx.x] = values[threadIdx.x ^ by];
}

/* A counter of the block, read with or without a barrier. */
template <Order ORDER>
static __global__ void count(int *out) {
  auto *counter = reinterpret_cast<int *>(dynamicShared());
  if (threadIdx.x == 0) *counter = 0;
  __syncthreads();
  atomicAdd(counter, 1);
  order<ORDER>();
  out[threadIdx.x] = *counter;
}

/* The buffer of a copy that another thread still reads, or reads before a barrier tells it that the copy is there. */
template <Order BEFORE, Order AFTER>
static __global__ void refill(int *out, const int *in) {
  auto *tile = reinterpret_cast<int *>(dynamicShared());
  tile[threadIdx.x] = threadIdx.x;
  __syncthreads();
  const int old = tile[threadIdx.x ^ 32];
  order<BEFORE>();
  if (threadIdx.x < THREADS / 4) copyAsync(tile + 4 * threadIdx.x, in + 4 * threadIdx.x);
  commitCopies();
  awaitCopies<0>();
  order<AFTER>();
  out[threadIdx.x] = old + tile[threadIdx.x ^ 32];
}

}  // namespace ds

/* As `launch` calls one. */
template <class... P, class... A>
static std::function<void()> starting(void (*kernel)(P...), A... args) {
  return [=] { kernel(args...); };
}

/* Runs a kernel by name. Returns 0, or 1 where there is none of that name. */
extern "C" __attribute__((visibility("default"))) int ds_run_planted(const char *name) {
  using namespace ds;
  static int in[THREADS], out[THREADS];
  const std::pair<const char *, std::function<void()>> kernels[] = {
      {"warps, nothing", starting(passOn<NOTHING>, out, 32)},
      {"warps, shuffle", starting(passOn<SHUFFLE>, out, 32)},
      {"warps, __syncwarp", starting(passOn<WARP_BARRIER>, out, 32)},
      {"warps, __syncthreads", starting(passOn<BARRIER>, out, 32)},
      {"lanes, nothing", starting(passOn<NOTHING>, out, 1)},
      {"lanes, shuffle", starting(passOn<SHUFFLE>, out, 1)},
      {"lanes, __syncwarp", starting(passOn<WARP_BARRIER>, out, 1)},
      {"lanes, __syncthreads", starting(passOn<BARRIER>, out, 1)},
      {"atomics, nothing", starting(count<NOTHING>, out)},
      {"atomics, __syncthreads", starting(count<BARRIER>, out)},
      {"copies, nothing before", starting(refill<NOTHING, BARRIER>, out, in)},
      {"copies, nothing after", starting(refill<BARRIER, NOTHING>, out, in)},
      {"copies, __syncthreads", starting(refill<BARRIER, BARRIER>, out, in)},
  };
  for (const auto &[known, kernel] : kernels) {
    if (strcmp(known, name) != 0) continue;
    host::Pool::one().run({2}, {THREADS}, THREADS * sizeof(int), kernel);
    return 0;
  }
  return 1;
}
