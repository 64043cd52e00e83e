/* The host's side of every op: streams, tensors, launches, and how failures are told. */
#pragma once

#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

#include "device.cuh"
#include "ds.h"

namespace ds {

/* Ends an op; `guarded` turns it into a status and ds_last_error. */
struct Failure : std::runtime_error {
  ds_status status;
  Failure(ds_status status, const std::string &text) : std::runtime_error(text), status(status) {}
};

[[noreturn]] void invalid(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Throws with file, line and CUDA's text unless `error` is cudaSuccess. */
void check(cudaError_t error, const char *what, const char *file = __builtin_FILE(), int line = __builtin_LINE());

/*
 * Lets a kernel have so much dynamic shared memory on a device. Never less than before: other streams and recordings count on
 * what they asked for. Throws Failure.
 */
void allowShared(const void *kernel, int device, size_t bytes, const char *file, int line);

/* Sizes of memory are multiples of this: cudaMalloc gives no smaller pieces. */
constexpr int64_t GRAIN = 256;
inline int64_t rounded(int64_t bytes) { return divideUp(bytes > 0 ? bytes : 1, GRAIN) * GRAIN; }

/* Working memory of ops under one name, grown when asked for more. */
struct Scratch {
  void *data = nullptr;
  int64_t bytes = 0;
};

}  // namespace ds

struct ds_tensor {
  void *data;
  int32_t dtype, place, rank;
  int64_t shape[5];
  int64_t bytes;
};

struct ds_mark {
  /* Null: nothing to wait for. */
  cudaEvent_t event;
  /* What a download copies to, null for a bare mark; its size, and how much of it was asked for. */
  void *copy;
  int64_t bytes, asked;
};

struct ds_recording {
  cudaGraphExec_t graph;
  int64_t generation;
};

struct ds_stream {
  cudaStream_t cuda;
  int device;
  ds_device_facts facts;
  int64_t sharedBytes;
  /* Rows of the step, on the device, and what of them is known here. */
  ds::Row *rows = nullptr;
  int T = 0;
  /* One slot's consecutive positions, each row at home: what a prefill asks for. */
  bool isChunk = false;
  int64_t tensorBytes = 0, workspaceBytes = 0, mostBytes = 0;
  /* Counts memory and launches nothing. */
  bool isRehearsal = false;
  /* Raised whenever working memory moves: recordings from before name memory that is gone. */
  int64_t generation = 0;
  bool isRecording = false;
  std::map<std::string, ds::Scratch> scratches;
  std::set<ds_tensor *> tensors;
  std::set<ds_mark *> marks;
  std::set<ds_recording *> recordings;
  /* Memory to download to, by size, unused at present. */
  std::multimap<int64_t, void *> copies;
  /* What prefill_gemm.cu keeps. */
  std::shared_ptr<void> blas;

  /*
   * Memory of at least `bytes` that is this name's until it asks for more; not cleared, but all 0 when it is new and `isZero`. Throws
   * Failure.
   */
  void *scratch(const std::string &name, int64_t bytes, bool isZero = false);
  template <class T>
  T *scratchOf(const std::string &name, int64_t count, bool isZero = false) {
    return static_cast<T *>(scratch(name, count * sizeof(T), isZero));
  }
};

namespace ds {

/* `bytes` of the device or pinned memory of the host. Throws Failure with what was asked for and what is free. */
void *takeMemory(ds_stream *stream, int64_t bytes, int32_t place, const char *what);
void giveMemory(const ds_stream *stream, void *memory, int32_t place);
/* Copies from the caller's memory, which is the caller's again when it returns, in stream order. Throws Failure. */
void copyIn(ds_stream *stream, void *to, const void *data, int64_t bytes);
/* Throws Failure where such a piece of a tensor does not exist. */
void mustLieIn(const ds_tensor *tensor, int64_t offset, int64_t bytes);
ds_mark *newMark(ds_stream *stream);

/* Runs an op's body; an op without its stream cannot even say so by a stream. */
template <class Body>
ds_status guarded(Body body);
ds_status failed(ds_status status, const char *text);

template <class Body>
ds_status guarded(Body body) {
  try {
    body();
    return DS_OK;
  } catch (const Failure &failure) {
    return failed(failure.status, failure.what());
  } catch (const std::exception &error) {
    return failed(DS_FAILED, error.what());
  }
}

template <class T>
T *dataOf(const ds_tensor *tensor) {
  return tensor == nullptr ? nullptr : static_cast<T *>(tensor->data);
}

inline int64_t valuesOf(const ds_tensor *tensor) {
  int64_t count = 1;
  for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
  return count;
}

inline int64_t columnsOf(const ds_tensor *tensor) { return tensor->shape[tensor->rank - 1]; }

/* How a kernel is spread, and where in the source it was launched. */
struct Grid {
  dim3 blocks, threads;
  size_t sharedBytes;
  const char *file;
  int line;
  Grid(dim3 blocks, dim3 threads, size_t sharedBytes = 0, const char *file = __builtin_FILE(), int line = __builtin_LINE())
      : blocks(blocks), threads(threads), sharedBytes(sharedBytes), file(file), line(line) {}
};

/* The most dynamic shared memory a block has without asking. */
constexpr size_t PLAIN_SHARED_BYTES = 48 << 10;

/* Enqueues kernel(args...), nothing where the grid is empty. Throws Failure. */
template <class... P, class... A>
void launch(ds_stream *stream, const Grid &grid, void (*kernel)(P...), A... args) {
  if (stream->isRehearsal || grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  if (grid.sharedBytes > PLAIN_SHARED_BYTES) {
    allowShared(reinterpret_cast<const void *>(kernel), stream->device, grid.sharedBytes, grid.file, grid.line);
  }
#ifdef DS_HOST
  check(::host::launchable(grid.blocks, grid.threads), "launching a kernel", grid.file, grid.line);
  ::host::enqueue(stream->cuda, [=] {
    ::host::Pool::one().run(grid.blocks, grid.threads, grid.sharedBytes, [=] { kernel(static_cast<P>(args)...); });
  });
#else
  kernel<<<grid.blocks, grid.threads, grid.sharedBytes, stream->cuda>>>(static_cast<P>(args)...);
#endif
  check(cudaGetLastError(), "launching a kernel", grid.file, grid.line);
}

/* Calls body(T{}) with the C++ type of a float dtype. Throws Failure for another. */
template <class Body>
void withFloatType(int32_t dtype, const char *what, Body body) {
  switch (dtype) {
    case DS_F32:
      return body(float{});
    case DS_F16:
      return body(Half{});
    case DS_BF16:
      return body(Brain{});
    default:
      invalid("Cannot take %s of type %d: needs f32, f16 or bf16", what, dtype);
  }
}

}  // namespace ds
