#include "attend_launch.cuh"

#include <algorithm>
#include <cmath>

#include "attend_plain.cuh"

namespace ds {

Attention attentionOf(const ds_stream *stream, const ds_tensor *out, const ds_tensor *qkv, const ds_tensor *kv, int64_t H,
                      float scale) {
  Attention a{};
  a.out = dataOf<float>(out);
  a.qkv = dataOf<const float>(qkv);
  a.kv = kv->data;
  a.rows = stream->rows;
  a.T = stream->T;
  a.Hk = static_cast<int>(kv->shape[1]);
  a.Hq = static_cast<int>(qkv->shape[1]) - 2 * a.Hk;
  a.d = static_cast<int>(kv->shape[4]);
  a.S = kv->shape[2];
  a.scale = scale * LOG2_E;
  a.logitPerScore = LOG2_E / std::sqrt(static_cast<float>(a.d));
  a.H = H > 0 ? static_cast<int>(H) : a.Hk;
  a.headsPerSet = a.Hq / a.H;
  a.setsPerKvHead = a.H / a.Hk;
  a.blocksPerSet = divideUp(a.headsPerSet, HEADS);
  a.headsPerBlock = divideUp(a.headsPerSet, a.blocksPerSet);
  a.width = divideUp(a.d, 4);
  if (a.T > 65535 || a.H * a.blocksPerSet > 65535) {
    invalid("Cannot attend %d rows of %d heads: the most is 65535 of each", a.T, a.Hq);
  }
  return a;
}

bool isForTensorCores(const ds_tensor *kv) {
  const int64_t d = kv->shape[4];
  return kv->dtype != DS_F32 && d % 8 == 0 && d <= 128;
}

/* Of the device busy on average, in waves of blocks, below which more shares are tried. */
constexpr double GOOD_USE = 0.9;

void splitTokens(ds_stream *stream, Attention &a, const Splitting &splitting) {
  const int64_t most = std::min<int64_t>(splitting.mostShares, divideUp(splitting.mostTokens, splitting.leastTokens));
  const int64_t places = int64_t{stream->facts.multiprocessors} * splitting.blocksAtOnce;
  a.shares = 1;
  double bestUse = 0;
  for (int shares = 1; shares <= most && bestUse < GOOD_USE; shares++) {
    const int64_t blocks = splitting.blocks * shares;
    const double use = static_cast<double>(blocks) / static_cast<double>(divideUp(blocks, places) * places);
    if (use > bestUse) a.shares = shares, bestUse = use;
  }
  if (a.shares == 1 && !splitting.isAlwaysParted) return;
  a.parts = stream->scratchOf<float4>("parts of attention", splitting.blocks * a.shares * splitting.parts * (1 + a.width));
  a.arrivals = stream->scratchOf<unsigned>("arrivals of attention", splitting.blocks, true);
}

/* More, and putting the shares together takes longer than they save. */
constexpr int MOST_SHARES = 128;

/* Two have 64 KiB and more under way, twice what hides the memory's delay; with a third there would only be more to put together. */
constexpr int BLOCKS_AT_ONCE = 2;

Splitting splittingOf(const Attention &a, int64_t mostTokens, int64_t leastTokens) {
  return {int64_t{a.T} * a.H * a.blocksPerSet, BLOCKS_AT_ONCE, a.headsPerBlock + 1, true, mostTokens, leastTokens, MOST_SHARES};
}

/* Fewer tokens do not pay for putting shares together. */
constexpr int LEAST_PLAIN_TOKENS = 128;

void attendPlainly(ds_stream *stream, Attention &a, int32_t dtype, int64_t mostTokens) {
  splitTokens(stream, a, splittingOf(a, mostTokens, LEAST_PLAIN_TOKENS));
  const int64_t bytes = std::max<int64_t>(plain::floatsOf(a.width) * sizeof(float), mergeBytes(a.shares, a.width));
  if (bytes > stream->sharedBytes) {
    invalid("Cannot attend with %d channels per head: it takes %lld bytes of a block's memory, and the device has %lld", a.d,
            static_cast<long long>(bytes), static_cast<long long>(stream->sharedBytes));
  }
  withFloatType(dtype, "a KV cache", [&](auto type) {
    launch(stream, {blocksOf(a), plain::THREADS, static_cast<size_t>(bytes)}, plain::attendPlain<decltype(type)>, a);
  });
}

}  // namespace ds
