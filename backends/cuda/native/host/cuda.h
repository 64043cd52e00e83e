/*
 * CUDA on the host's processor, as far as the kernels of this library use it, so that they can be run and tested on any machine.
 *
 * A block's threads are fibers of one system thread; blocks are spread over all cores. Where CUDA promises nothing this does the
 * inconvenient: threads of a block run in ascending order in one block and in descending order in the next, asynchronous copies land
 * no sooner than they are waited for, fresh memory holds NaN, and memory ends at a page nobody may touch. So a missing barrier, wait,
 * clear or bounds check shows. Barriers that not all threads reach, and shuffles that not all lanes reach, end the process.
 */
#pragma once

#include "types.h"

#include "fibers.h"

#include "intrinsics.h"

#include "runtime.h"
