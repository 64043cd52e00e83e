/* What CUDA's threads do beyond C++: exchange, vote, atomics, and arithmetic with a name. */
#pragma once

#include "fibers.h"

inline void __syncthreads() { host::barrier(); }
inline int __syncthreads_count(int vote) {
  host::barrier(vote);
  return host::self->block->voted;
}
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() {}

namespace host {
inline void whole(unsigned mask) {
  if (mask != 0xffffffffu) fail("only whole warps exchange values here");
}
inline int segment(int width) { return self->lane / width * width; }
}  // namespace host

inline void __syncwarp(unsigned mask = 0xffffffffu) {
  host::whole(mask);
  host::meet("__syncwarp");
  host::races::passWarp();
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  host::whole(mask);
  return host::Exchange<T>(value, "__shfl_sync").of(host::segment(width) + lane % width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  host::whole(mask);
  const int other = host::self->lane ^ lanes;
  const bool isInside = other / width == host::self->lane / width;
  return host::Exchange<T>(value, "__shfl_xor_sync").of(isInside ? other : host::self->lane);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
  host::whole(mask);
  const int other = host::self->lane + lanes;
  return host::Exchange<T>(value, "__shfl_down_sync").of(other < host::segment(width) + width ? other : host::self->lane);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
  host::whole(mask);
  const int other = host::self->lane - static_cast<int>(lanes);
  return host::Exchange<T>(value, "__shfl_up_sync").of(other >= host::segment(width) ? other : host::self->lane);
}
inline unsigned __ballot_sync(unsigned mask, int vote) {
  host::whole(mask);
  /* Some lanes may have ended by the time this one goes on. */
  const int lanes = host::self->warp->alive;
  host::Exchange<int> votes(vote, "__ballot_sync");
  unsigned all = 0;
  for (int lane = 0; lane < lanes; lane++) all |= static_cast<unsigned>(votes.of(lane) != 0) << lane;
  return all;
}
inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
inline int __all_sync(unsigned mask, int vote) { return __ballot_sync(mask, !vote) == 0; }

template <class T>
T atomicAdd(T *at, T value) { return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }
template <class T>
T atomicOr(T *at, T value) { return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); }
template <class T>
T atomicExch(T *at, T value) { return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); }
template <class T>
T atomicMax(T *at, T value) {
  T old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
  while (old < value && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
  return old;
}

template <class T>
T __ldg(const T *at) { return *at; }
template <class T>
T __ldcs(const T *at) { return *at; }
template <class T>
T __ldcg(const T *at) { return *at; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
/* Four of the eight bytes of high:low, each chosen by 4 bits. */
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  unsigned chosen = 0;
  for (int i = 0; i < 4; i++) chosen |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 255) << (8 * i);
  return chosen;
}
/* The low 32 bits of high:low moved right by less than 32. */
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (static_cast<uint64_t>(a) * b) >> 32; }
inline float __int_as_float(int bits) { float x; memcpy(&x, &bits, 4); return x; }
inline float __uint_as_float(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
inline int __float_as_int(float x) { int bits; memcpy(&bits, &x, 4); return bits; }
inline unsigned __float_as_uint(float x) { unsigned bits; memcpy(&bits, &x, 4); return bits; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
/* Four signed products of bytes. */
inline int __dp4a(int a, int b, int sum) {
  for (int shift = 0; shift < 32; shift += 8) sum += static_cast<int8_t>(a >> shift) * static_cast<int8_t>(b >> shift);
  return sum;
}
