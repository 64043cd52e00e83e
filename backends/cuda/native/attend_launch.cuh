/* The host's side of attention by rows. */
#pragma once

#include "attention.cuh"
#include "stream.cuh"

namespace ds {

/* What `qkv` [T, Hq + 2·Hk, d] and `kv` [slots, Hk, S, 2, d] say, for H sets of tokens per row (0: a set per KV head). */
Attention attentionOf(const ds_stream *stream, const ds_tensor *out, const ds_tensor *qkv, const ds_tensor *kv, int64_t H,
                      float scale);

/* Whether attend_rows.cuh takes it: copies of 16 bytes, and no more channels than it keeps in registers. */
bool isForTensorCores(const ds_tensor *kv);

/* Work over a row's tokens that may be split into shares. */
struct Splitting {
  /* Blocks of one share, and how many of them keep a multiprocessor busy. */
  int64_t blocks;
  int blocksAtOnce;
  /* Parts that a block leaves, and whether it does where it has no others to share with. */
  int64_t parts;
  bool isAlwaysParted;
  /* The most tokens that may be to split; fewer than leastTokens in a share do not pay for putting shares together. */
  int64_t mostTokens, leastTokens;
  int mostShares;
};

/* Gives `a` as many shares as fill the device evenly, and the memory for what they come to. */
void splitTokens(ds_stream *stream, Attention &a, const Splitting &splitting);

/* For blocksOf(a). */
Splitting splittingOf(const Attention &a, int64_t mostTokens, int64_t leastTokens);

inline dim3 blocksOf(const Attention &a) {
  return dim3(static_cast<unsigned>(a.shares), static_cast<unsigned>(a.H * a.blocksPerSet), static_cast<unsigned>(a.T));
}

/* Enqueues attention by plain arithmetic, of shapes that isForTensorCores does not take. */
void attendPlainly(ds_stream *stream, Attention &a, int32_t dtype, int64_t mostTokens);

}  // namespace ds
