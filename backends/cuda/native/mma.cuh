/*
 * The tensor cores' products with f32 sums, one per warp: 16x16 by 16x8 of f16 or bf16, and 16x8 by 8x8 of tf32.
 *
 * Of lane l, r = l / 4 and p = 2·(l % 4) (PTX ISA, mma.m16n8k16): a[0] holds A[r][p, p+1], a[1] A[r+8][p, p+1], a[2] A[r][p+8, p+9],
 * a[3] A[r+8][p+8, p+9]; b[0] holds B[p, p+1][r], b[1] B[p+8, p+9][r]; c[0, 1] are C[r][p, p+1], c[2, 3] C[r+8][p, p+1]. The lower
 * index lies in the lower half of a register.
 *
 * Of tf32 (mma.m16n8k8), p = l % 4: a[0] holds A[r][p], a[1] A[r+8][p], a[2] A[r][p+4], a[3] A[r+8][p+4]; b[0] holds B[p][r], b[1]
 * B[p+4][r]; c as above. tf32 is an f32 whose fraction ends after 10 bits.
 */
#pragma once

#include "device.cuh"

namespace ds {

/* Two values in one register. */
template <class T>
__device__ inline unsigned packed(T low, T high) {
  uint16_t bits[2];
  memcpy(&bits[0], &low, 2);
  memcpy(&bits[1], &high, 2);
  return static_cast<unsigned>(bits[1]) << 16 | bits[0];
}

/* An f32 as the sum of two tf32, but for its last 2 bits. */
struct Split {
  float head, tail;
};
__device__ inline float cutToTf32(float value) { return __uint_as_float(__float_as_uint(value) & 0xffffe000u); }
__device__ inline Split split(float value) {
  const float head = cutToTf32(value);
  return {head, cutToTf32(value - head)};
}

#ifdef DS_HOST

struct Fragments {
  unsigned a[4], b[2];
};

template <class T>
__device__ inline void multiplyTiles(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  const ::host::Exchange<Fragments> all({{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, "mma");
  const auto half = [](unsigned word, int k) {
    const uint16_t bits = static_cast<uint16_t>(word >> (16 * (k % 2)));
    T value;
    memcpy(&value, &bits, 2);
    return toFloat(value);
  };
  const int lane = ::host::self->lane;
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4 + (i / 2) * 8;
    const int column = lane % 4 * 2 + i % 2;
    float sum = c[i];
    for (int k = 0; k < 16; k++) {
      const Fragments left = all.of(row % 8 * 4 + k % 8 / 2);
      const Fragments right = all.of(column * 4 + k % 8 / 2);
      sum += half(left.a[k / 8 * 2 + row / 8], k) * half(right.b[k / 8], k);
    }
    c[i] = sum;
  }
}

struct WideFragments {
  float a[4], b[2];
};

__device__ inline void multiplyTiles(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
  const ::host::Exchange<WideFragments> all({{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, "mma of tf32");
  const int lane = ::host::self->lane;
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4 + (i / 2) * 8;
    const int column = lane % 4 * 2 + i % 2;
    float sum = c[i];
    for (int k = 0; k < 8; k++) {
      const WideFragments left = all.of(row % 8 * 4 + k % 4);
      const WideFragments right = all.of(column * 4 + k % 4);
      sum += cutToTf32(left.a[k / 4 * 2 + row / 8]) * cutToTf32(right.b[k / 4]);
    }
    c[i] = sum;
  }
}

#else

/* c += a·b. */
template <class T>
__device__ inline void multiplyTiles(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
template <>
__device__ inline void multiplyTiles<Half>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ inline void multiplyTiles<Brain>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/* c += a·b, tf32. */
__device__ inline void multiplyTiles(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
        "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}

#endif

}  // namespace ds
