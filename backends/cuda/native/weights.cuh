/*
 * Weights of every type as they lie in memory, and how kernels read them: one value, or a lane's share of a row at once.
 *
 * Packed types are blocks of a row, as GGUF files have them; codes are unsigned but for q8_0, least significant bits first:
 *
 * - q8_0, 32 values, 34 bytes: f16 scale; 32 signed bytes. scale·code
 * - q4_0, 32 values, 18 bytes: f16 scale; 16 bytes of codes, columns 16 to 31 in the high halves. scale·(code - 8)
 * - q4_1, 32 values, 20 bytes: f16 scale, f16 offset; codes as q4_0. scale·code + offset
 * - q4_k, 256 values, 144 bytes: f16 scale and minimum scale; 8 scales and 8 minima of 6 bits in 12 bytes; 128 bytes of codes, of
 *   each 32 the low halves are a group of 32 columns, the high halves the next. scale·step·code - minimum scale·minimum
 * - q6_k, 256 values, 210 bytes: 128 bytes of low 4 bits, 64 of high 2 bits, 16 signed steps, f16 scale. Per 128 columns in runs of
 *   32: the low bits of runs 0 and 1 are the low halves of 64 bytes, of runs 2 and 3 the high ones; the high bits of run j are bits 2j
 *   of 32 bytes. scale·step·(code - 32), a step for every 16 columns
 */
#pragma once

#include "stream.cuh"

namespace ds {

/* Types of packed weights; the others are float, Half and Brain. */
struct Q8_0 {};
struct Q4_0 {};
struct Q4_1 {};
struct Q4_K {};
struct Q6_K {};

/*
 * A row of weights: blocks of BLOCK values in BYTES bytes. value(row, i) is one of them, for any i.
 *
 * A unit is what a lane loads at once: QUADS times 4 values, quad q of unit u being the columns from column(u, q) on; adjoining units lie
 * in adjoining memory. Rows of a multiple of UNIT values have them, and of float, Half and Brain they must be aligned to 16 bytes (I
 * a multiple of 8). load(row, u) is the memory, decode(raw, values) its f32 values, quad by quad.
 */
template <class W>
struct Weights;

/* 4 bytes at a multiple of 2. */
__device__ inline unsigned wordAt(const uint8_t *at) {
  const auto *halves = reinterpret_cast<const uint16_t *>(at);
  return __ldg(halves) | static_cast<unsigned>(__ldg(halves + 1)) << 16;
}

__device__ inline float halfOf(unsigned bits) {
  const auto low = static_cast<uint16_t>(bits);
  Half value;
  memcpy(&value, &low, 2);
  return toFloat(value);
}

/* The f16 at a multiple of 2. */
__device__ inline float halfAt(const uint8_t *at) { return halfOf(__ldg(reinterpret_cast<const uint16_t *>(at))); }

/*
 * step·code + base of the 4 bytes of a word, codes below 128, where `raised` is base - 128·step. A code in the middle of the f32 128 is
 * 128 + code: no conversion, and one multiplication.
 */
__device__ inline void decodeCodes(unsigned codes, float step, float raised, float *values) {
  values[0] = fmaf(__uint_as_float(__byte_perm(codes, 0x43000000u, 0x7054)), step, raised);
  values[1] = fmaf(__uint_as_float(__byte_perm(codes, 0x43000000u, 0x7154)), step, raised);
  values[2] = fmaf(__uint_as_float(__byte_perm(codes, 0x43000000u, 0x7254)), step, raised);
  values[3] = fmaf(__uint_as_float(__byte_perm(codes, 0x43000000u, 0x7354)), step, raised);
}

/* step·code of the 4 signed bytes of a word; the f32 is 32768 + 128 + code. */
__device__ inline void decodeSignedCodes(unsigned codes, float step, float *values) {
  const unsigned shifted = codes ^ 0x80808080u;
  const float raised = -32896.0f * step;
  values[0] = fmaf(__uint_as_float(__byte_perm(shifted, 0x47000000u, 0x7604)), step, raised);
  values[1] = fmaf(__uint_as_float(__byte_perm(shifted, 0x47000000u, 0x7614)), step, raised);
  values[2] = fmaf(__uint_as_float(__byte_perm(shifted, 0x47000000u, 0x7624)), step, raised);
  values[3] = fmaf(__uint_as_float(__byte_perm(shifted, 0x47000000u, 0x7634)), step, raised);
}

template <>
struct Weights<float> {
  static constexpr int BLOCK = 1, BYTES = 4, QUADS = 2, UNIT = 8;
  struct Raw {
    float4 quads[2];
  };
  __device__ static float value(const uint8_t *row, int i) { return reinterpret_cast<const float *>(row)[i]; }
  __device__ static int column(int u, int q) { return 8 * u + 4 * q; }
  __device__ static Raw load(const uint8_t *row, int u) {
    const auto *at = reinterpret_cast<const float4 *>(row) + 2 * u;
    return {{__ldg(at), __ldg(at + 1)}};
  }
  __device__ static void decode(const Raw &raw, float (&values)[UNIT]) { memcpy(values, raw.quads, sizeof values); }
};

/* Half and Brain. */
template <class T>
struct HalfWeights {
  static constexpr int BLOCK = 1, BYTES = 2, QUADS = 2, UNIT = 8;
  struct Raw {
    uint4 words;
  };
  __device__ static float value(const uint8_t *row, int i) { return toFloat(reinterpret_cast<const T *>(row)[i]); }
  __device__ static int column(int u, int q) { return 8 * u + 4 * q; }
  __device__ static Raw load(const uint8_t *row, int u) { return {__ldcs(reinterpret_cast<const uint4 *>(row) + u)}; }
  __device__ static void decode(const Raw &raw, float (&values)[UNIT]) {
    T halves[UNIT];
    memcpy(halves, &raw.words, sizeof halves);
    for (int i = 0; i < UNIT; i++) values[i] = toFloat(halves[i]);
  }
};
template <>
struct Weights<Half> : HalfWeights<Half> {};
template <>
struct Weights<Brain> : HalfWeights<Brain> {};

template <>
struct Weights<Q8_0> {
  static constexpr int BLOCK = 32, BYTES = 34, QUADS = 2, UNIT = 8;
  struct Raw {
    unsigned words[2];
    float scale;
  };
  __device__ static float value(const uint8_t *row, int i) {
    const uint8_t *block = row + int64_t{i / 32} * BYTES;
    return halfAt(block) * static_cast<float>(static_cast<int8_t>(block[2 + i % 32]));
  }
  __device__ static int column(int u, int q) { return 32 * (u / 4) + 4 * (u % 4) + 16 * q; }
  __device__ static Raw load(const uint8_t *row, int u) {
    const uint8_t *block = row + int64_t{u / 4} * BYTES;
    const uint8_t *codes = block + 2 + 4 * (u % 4);
    return {{wordAt(codes), wordAt(codes + 16)}, halfAt(block)};
  }
  __device__ static void decode(const Raw &raw, float (&values)[UNIT]) {
    decodeSignedCodes(raw.words[0], raw.scale, values);
    decodeSignedCodes(raw.words[1], raw.scale, values + 4);
  }
};

template <>
struct Weights<Q4_0> {
  static constexpr int BLOCK = 32, BYTES = 18, QUADS = 2, UNIT = 8;
  struct Raw {
    unsigned codes;
    float scale;
  };
  __device__ static float value(const uint8_t *row, int i) {
    const uint8_t *block = row + int64_t{i / 32} * BYTES;
    return halfAt(block) * static_cast<float>((block[2 + i % 16] >> (i % 32 / 16 * 4) & 15) - 8);
  }
  __device__ static int column(int u, int q) { return 32 * (u / 4) + 4 * (u % 4) + 16 * q; }
  __device__ static Raw load(const uint8_t *row, int u) {
    const uint8_t *block = row + int64_t{u / 4} * BYTES;
    return {wordAt(block + 2 + 4 * (u % 4)), halfAt(block)};
  }
  __device__ static void decode(const Raw &raw, float (&values)[UNIT]) {
    const float raised = -136.0f * raw.scale;
    decodeCodes(raw.codes & 0x0f0f0f0fu, raw.scale, raised, values);
    decodeCodes(raw.codes >> 4 & 0x0f0f0f0fu, raw.scale, raised, values + 4);
  }
};

template <>
struct Weights<Q4_1> {
  static constexpr int BLOCK = 32, BYTES = 20, QUADS = 2, UNIT = 8;
  struct Raw {
    unsigned codes, scales;
  };
  __device__ static float value(const uint8_t *row, int i) {
    const uint8_t *block = row + int64_t{i / 32} * BYTES;
    return fmaf(halfAt(block), static_cast<float>(block[4 + i % 16] >> (i % 32 / 16 * 4) & 15), halfAt(block + 2));
  }
  __device__ static int column(int u, int q) { return 32 * (u / 4) + 4 * (u % 4) + 16 * q; }
  __device__ static Raw load(const uint8_t *row, int u) {
    const auto *block = reinterpret_cast<const unsigned *>(row + int64_t{u / 4} * BYTES);
    return {__ldg(block + 1 + u % 4), __ldg(block)};
  }
  __device__ static void decode(const Raw &raw, float (&values)[UNIT]) {
    const float step = halfOf(raw.scales);
    const float raised = fmaf(-128.0f, step, halfOf(raw.scales >> 16));
    decodeCodes(raw.codes & 0x0f0f0f0fu, step, raised, values);
    decodeCodes(raw.codes >> 4 & 0x0f0f0f0fu, step, raised, values + 4);
  }
};

template <>
struct Weights<Q4_K> {
  static constexpr int BLOCK = 256, BYTES = 144, QUADS = 4, UNIT = 16;
  struct Raw {
    uint2 codes;
    /* Steps in the low, minima in the high bytes of a half: of the lower group, then of the higher. */
    unsigned groups, scales;
  };
  /* The 6-bit step of group g, 0 to 7, in the low byte, its minimum in the next; `words` are the 12 bytes of them. */
  __device__ static unsigned group(const unsigned (&words)[3], int g) {
    const int shift = 8 * (g % 4);
    const unsigned first = words[0] >> shift, second = words[1] >> shift, third = words[2] >> shift;
    if (g < 4) return (first & 63) | (second & 63) << 8;
    return (third & 15) | (first >> 2 & 48) | ((third >> 4 & 15) | (second >> 2 & 48)) << 8;
  }
  __device__ static float value(const uint8_t *row, int i) {
    const uint8_t *block = row + int64_t{i / 256} * BYTES;
    const auto *head = reinterpret_cast<const unsigned *>(block);
    const unsigned words[3] = {head[1], head[2], head[3]};
    const unsigned own = group(words, i % 256 / 32);
    const unsigned code = block[16 + i % 256 / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
    return halfOf(head[0]) * static_cast<float>(own & 63) * static_cast<float>(code) -
           halfOf(head[0] >> 16) * static_cast<float>(own >> 8);
  }
  __device__ static int column(int u, int q) { return 64 * (u / 4) + 8 * (u % 4) + 32 * (q / 2) + 4 * (q % 2); }
  __device__ static Raw load(const uint8_t *row, int u) {
    const uint8_t *block = row + int64_t{u / 16} * BYTES;
    const uint4 head = __ldg(reinterpret_cast<const uint4 *>(block));
    const uint2 codes = __ldg(reinterpret_cast<const uint2 *>(block + 16) + u % 16);
    const unsigned words[3] = {head.y, head.z, head.w};
    const int g = u % 16 / 4 * 2;
    return {codes, group(words, g) | group(words, g + 1) << 16, head.x};
  }
  __device__ static void decode(const Raw &raw, float (&values)[UNIT]) {
    const float scale = halfOf(raw.scales), minimumScale = halfOf(raw.scales >> 16);
    for (int half = 0; half < 2; half++) {
      const unsigned own = raw.groups >> (16 * half);
      const float step = scale * static_cast<float>(own & 63);
      const float raised = fmaf(-128.0f, step, -minimumScale * static_cast<float>(own >> 8 & 63));
      decodeCodes(raw.codes.x >> (4 * half) & 0x0f0f0f0fu, step, raised, values + 8 * half);
      decodeCodes(raw.codes.y >> (4 * half) & 0x0f0f0f0fu, step, raised, values + 8 * half + 4);
    }
  }
};

template <>
struct Weights<Q6_K> {
  static constexpr int BLOCK = 256, BYTES = 210, QUADS = 4, UNIT = 16;
  struct Raw {
    unsigned low[2], high, steps;
    float scale;
  };
  __device__ static float value(const uint8_t *row, int i) {
    const uint8_t *block = row + int64_t{i / 256} * BYTES;
    const int half = i % 256 / 128, run = i % 128 / 32, j = i % 32;
    const unsigned low = block[64 * half + 32 * (run % 2) + j] >> (run / 2 * 4) & 15;
    const unsigned high = block[128 + 32 * half + j] >> (2 * run) & 3;
    const float step = static_cast<float>(static_cast<int8_t>(block[192 + i % 256 / 16]));
    return halfAt(block + 208) * step * (static_cast<float>(low | high << 4) - 32);
  }
  __device__ static int column(int u, int q) { return 128 * (u / 8) + 32 * q + 4 * (u % 8); }
  __device__ static Raw load(const uint8_t *row, int u) {
    const uint8_t *block = row + int64_t{u / 16} * BYTES;
    const int half = u % 16 / 8, j = u % 8;
    const uint8_t *low = block + 64 * half + 4 * j;
    /* Of the two steps of each run, that of this half of its columns. */
    const uint8_t *steps = block + 192 + 8 * half;
    const unsigned chosen = __byte_perm(wordAt(steps), wordAt(steps + 4), j < 4 ? 0x6420 : 0x7531);
    return {{wordAt(low), wordAt(low + 32)}, wordAt(block + 128 + 32 * half + 4 * j), chosen, halfAt(block + 208)};
  }
  __device__ static void decode(const Raw &raw, float (&values)[UNIT]) {
    for (int run = 0; run < 4; run++) {
      const unsigned low = raw.low[run % 2] >> (run / 2 * 4) & 0x0f0f0f0fu;
      const unsigned high = raw.high >> (2 * run) & 0x03030303u;
      const float step = raw.scale * static_cast<float>(static_cast<int8_t>(raw.steps >> (8 * run)));
      decodeCodes(low | high << 4, step, -160.0f * step, values + 4 * run);
    }
  }
};

/* Values as f16 to 16-byte pieces. */
template <int COUNT>
__device__ inline void storeHalves(uint4 *to, const float (&values)[COUNT]) {
  Half halves[COUNT];
#pragma unroll
  for (int i = 0; i < COUNT; i++) halves[i] = toHalf(values[i]);
#pragma unroll
  for (int i = 0; i < COUNT / 8; i++) memcpy(to + i, halves + 8 * i, sizeof *to);
}

/* Bytes of a row of I values. */
template <class W>
__host__ __device__ inline int64_t rowBytes(int64_t I) {
  return I / Weights<W>::BLOCK * Weights<W>::BYTES;
}

/* Calls body(W{}) with the C++ type of a weight's dtype. Throws Failure for another. */
template <class Body>
void withWeightType(int32_t dtype, const char *what, Body body) {
  switch (dtype) {
    case DS_Q8_0:
      return body(Q8_0{});
    case DS_Q4_0:
      return body(Q4_0{});
    case DS_Q4_1:
      return body(Q4_1{});
    case DS_Q4_K:
      return body(Q4_K{});
    case DS_Q6_K:
      return body(Q6_K{});
    default:
      return withFloatType(dtype, what, body);
  }
}

}  // namespace ds
