/* Tiles of 8x8 values of 16 bits from shared memory, laid out as the operands of mma.cuh. */
#pragma once

#include "device.cuh"

namespace ds {

#ifdef DS_HOST

template <bool IS_TRANSPOSED>
__device__ inline void loadTiles(unsigned (&tiles)[4], const void *row) {
  const ::host::Exchange<const void *> rows(row, "ldmatrix");
  const int lane = ::host::self->lane;
  for (int tile = 0; tile < 4; tile++) {
    uint16_t pair[2];
    for (int i = 0; i < 2; i++) {
      const int at = lane % 4 * 2 + i;
      const int from = IS_TRANSPOSED ? at : lane / 4;
      const int column = IS_TRANSPOSED ? lane / 4 : at;
      memcpy(&pair[i], static_cast<const uint16_t *>(rows.of(tile * 8 + from)) + column, 2);
    }
    tiles[tile] = static_cast<unsigned>(pair[1]) << 16 | pair[0];
  }
}

#else

/*
 * Four tiles: lane l gives the address of row l % 8 of tile l / 8, a multiple of 16. Of tile M in the lane with r = l / 4 and
 * p = 2·(l % 4) arrive M[r][p, p+1], transposed M[p, p+1][r].
 */
template <bool IS_TRANSPOSED>
__device__ inline void loadTiles(unsigned (&tiles)[4], const void *row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if (IS_TRANSPOSED) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                 : "r"(from)
                 : "memory");
  }
}

#endif

}  // namespace ds
