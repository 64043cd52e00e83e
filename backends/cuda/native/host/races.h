/*
 * Accesses to shared memory that CUDA leaves unordered. With -DDS_HOST_RACES and -fsanitize=thread every access comes to races.cpp,
 * which tells of two by different threads, one of them a write, with no barrier between: __syncthreads for the block, __syncwarp for
 * a warp; shuffles and votes order nothing. Without, nothing of this is there.
 */
#pragma once

#include <cstddef>

namespace host::races {

#ifdef DS_HOST_RACES
/* This system thread begins a block with so much dynamic shared memory. */
void beginBlock(const unsigned char *shared, size_t bytes);
/* All threads of the block are at a barrier. */
void passBarrier();
/* `self` goes on from __syncwarp. */
void passWarp();
/* `self` starts or lands an asynchronous copy. */
void copy(const void *to, size_t bytes);
#else
inline void beginBlock(const unsigned char *, size_t) {}
inline void passBarrier() {}
inline void passWarp() {}
inline void copy(const void *, size_t) {}
#endif

}  // namespace host::races
