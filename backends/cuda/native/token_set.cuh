/* What a set takes of its row's tokens. */
#pragma once

#include "device.cuh"

namespace ds {

/*
 * The tokens [0, firstFree) and [endFree, kvLen) are forced; of those between it takes the `wanted` heaviest. Where it takes all,
 * all are forced.
 */
struct TokenSet {
  int kvLen, firstFree, endFree, wanted;

  __device__ int count() const { return kvLen - (endFree - firstFree) + wanted; }
};

__device__ inline TokenSet tokenSet(int position, int heavyTokens, int sinkTokens, int recentTokens) {
  const int kvLen = position + 1;
  if (heavyTokens >= kvLen) return {kvLen, kvLen, kvLen, 0};
  const int firstFree = min(sinkTokens, kvLen);
  const int endFree = max(firstFree, position - min(recentTokens, position));
  const int forced = kvLen - (endFree - firstFree);
  return {kvLen, firstFree, endFree, max(heavyTokens - forced, 0)};
}

}  // namespace ds
