#include "stream.cuh"

namespace ds {

constexpr int THREADS = 64;

/*
 * experts [R, chosen] = the largest of logits [R, E], largest first, ties to the lowest; mix = their softmax over all E, or over the
 * chosen where `renormalise`. A thread per row: E is small, and every step of it hangs on the one before.
 */
static __global__ void routeExperts(int *experts, float *mix, const float *logits, int R, int E, int chosen, bool renormalise) {
  const int r = blockIdx.x * THREADS + threadIdx.x;
  if (r >= R) return;
  const float *row = logits + int64_t{r} * E;
  int *places = experts + int64_t{r} * chosen;
  float *shares = mix + int64_t{r} * chosen;
  float largest = 0, sum = 0;
  for (int j = 0; j < chosen; j++) {
    int best = -1;
    for (int e = 0; e < E; e++) {
      bool isTaken = false;
      for (int i = 0; i < j; i++) isTaken = isTaken || places[i] == e;
      if (!isTaken && (best < 0 || row[e] > row[best])) best = e;
    }
    places[j] = best;
    if (j == 0) largest = row[best];
    shares[j] = expf(row[best] - largest);
    sum += shares[j];
  }
  if (!renormalise) {
    sum = 0;
    for (int e = 0; e < E; e++) sum += expf(row[e] - largest);
  }
  for (int j = 0; j < chosen; j++) shares[j] /= sum;
}

}  // namespace ds

ds_status ds_route_experts(ds_stream *stream, ds_tensor *experts, ds_tensor *mix, ds_tensor *logits, int32_t renormalise) {
  using namespace ds;
  return guarded([&] {
    const int64_t R = logits->shape[0];
    launch(stream, {dim3(divideUp<int64_t>(R, THREADS)), THREADS}, routeExperts, dataOf<int>(experts), dataOf<float>(mix),
           dataOf<const float>(logits), R, logits->shape[1], experts->shape[1], renormalise != 0);
  });
}
