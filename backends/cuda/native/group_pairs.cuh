/* Which rows chose which expert. */
#pragma once

#include "stream.cuh"

namespace ds {

/* As multiplyFewRows takes them: `most` tiles, some of them empty, as how many are not is known on the device only. */
struct Groups {
  const int4 *tiles;
  const int *pairs;
  int most;
};

/* The places of experts [count] by expert and then ascending, in tiles of up to tileRows of one expert; E experts. Throws Failure. */
Groups groupPairs(ds_stream *stream, const int *experts, int count, int E, int tileRows);

}  // namespace ds
