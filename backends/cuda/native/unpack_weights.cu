#include "unpack_weights.cuh"

#include "weights.cuh"

namespace ds {

constexpr int THREADS = 256;

/* A unit per thread; `units` of all rows, which adjoin. */
template <class W>
static __global__ void __launch_bounds__(THREADS) unpack(uint4 *out, const uint8_t *weight, int64_t units, int rowUnits, int64_t bytes) {
  using Type = Weights<W>;
  const int64_t u = int64_t{blockIdx.x} * THREADS + threadIdx.x;
  if (u >= units) return;
  float values[Type::UNIT];
  Type::decode(Type::load(weight + u / rowUnits * bytes, u % rowUnits), values);
  storeHalves(out + u * (Type::UNIT / 8), values);
}

const uint8_t *unpackWeights(ds_stream *stream, int32_t dtype, const uint8_t *weight, int64_t N, int64_t I) {
  auto *halves = stream->scratchOf<uint16_t>("unpacked weights", N * I);
  withWeightType(dtype, "packed weights", [&](auto type) {
    using W = decltype(type);
    const int rowUnits = I / Weights<W>::UNIT;
    launch(stream, {dim3(divideUp<int64_t>(N * rowUnits, THREADS)), THREADS}, unpack<W>, reinterpret_cast<uint4 *>(halves), weight,
           N * rowUnits, rowUnits, rowBytes<W>(I));
  });
  return reinterpret_cast<const uint8_t *>(halves);
}

}  // namespace ds
