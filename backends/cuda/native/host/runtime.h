/*
 * CUDA's runtime library, as far as stream.cu calls it. Everything is done when a call returns, except while recording; copies wait
 * for what is enqueued next or for whoever waits, so that memory that changes under one is seen.
 */
#pragma once

#include <chrono>
#include <map>

#include "fibers.h"

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100
};
inline const char *cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : error == cudaErrorMemoryAllocation ? "out of memory" : "invalid argument";
}
inline const char *cudaGetErrorName(cudaError_t error) { return cudaGetErrorString(error); }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }

namespace host {

struct Graph {
  std::vector<std::function<void()>> work;
};
struct Stream {
  Graph *recording = nullptr;
  std::vector<std::function<void()>> copies;
};
struct Event {
  std::chrono::steady_clock::time_point time;
};

inline void land(Stream *stream) {
  for (const auto &copy : stream->copies) copy();
  stream->copies.clear();
}

inline void enqueue(Stream *stream, std::function<void()> work) {
  if (stream->recording != nullptr) return stream->recording->work.push_back(std::move(work));
  land(stream);
  work();
}

/* Whether a device takes such a grid. */
inline cudaError_t launchable(dim3 blocks, dim3 threads) {
  const bool isFew = blocks.x <= 0x7fffffff && blocks.y <= 65535 && blocks.z <= 65535;
  return isFew && threads.x * threads.y * threads.z <= 1024 ? cudaSuccess : cudaErrorInvalidConfiguration;
}

/* Memory up to a page nobody may touch, so that a kernel that goes beyond it is seen. */
class Memory {
 public:
  static Memory &one() {
    static Memory *memory = new Memory;
    return *memory;
  }
  size_t total() const { return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE); }
  size_t held() const { return bytesHeld; }

  cudaError_t take(void **memory, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    const size_t page = sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + page - 1) / page * page + page;
    if (bytes > total() - bytesHeld) return cudaErrorMemoryAllocation;
    void *base = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return cudaErrorMemoryAllocation;
    auto *end = static_cast<unsigned char *>(base) + room - page;
    mprotect(end, page, PROT_NONE);
    *memory = end - (bytes + 15) / 16 * 16;
    if (bytes < (64 << 20)) memset(*memory, 0xff, bytes);
    pieces[*memory] = {base, room};
    bytesHeld += bytes;
    sizes[*memory] = bytes;
    return cudaSuccess;
  }

  cudaError_t give(void *memory) {
    std::lock_guard<std::mutex> lock(mutex);
    if (memory == nullptr) return cudaSuccess;
    const auto found = pieces.find(memory);
    if (found == pieces.end()) return cudaErrorInvalidValue;
    munmap(found->second.first, found->second.second);
    bytesHeld -= sizes[memory];
    pieces.erase(found);
    sizes.erase(memory);
    return cudaSuccess;
  }

 private:
  std::mutex mutex;
  std::map<void *, std::pair<void *, size_t>> pieces;
  std::map<void *, size_t> sizes;
  size_t bytesHeld = 0;
};

}  // namespace host

using cudaStream_t = host::Stream *;
using cudaEvent_t = host::Event *;
using cudaGraph_t = host::Graph *;
using cudaGraphExec_t = host::Graph *;
enum cudaMemcpyKind { cudaMemcpyDefault = 4 };
enum { cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlockOptin;
  int major, minor, multiProcessorCount, l2CacheSize;
};

inline cudaError_t cudaGetDeviceCount(int *count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp *facts, int) {
  *facts = {};
  snprintf(facts->name, sizeof facts->name, "CUDA kernels on the host's processor");
  facts->totalGlobalMem = host::Memory::one().total();
  facts->sharedMemPerBlockOptin = 99 << 10;
  /* Few, so that small shapes are split as large ones are on a GPU. */
  facts->multiProcessorCount = 8;
  return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int *version) { return *version = 0, cudaSuccess; }
inline cudaError_t cudaRuntimeGetVersion(int *version) { return *version = 0, cudaSuccess; }
inline cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  *total = host::Memory::one().total();
  *free = *total - host::Memory::one().held();
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void **memory, size_t bytes) { return host::Memory::one().take(memory, bytes); }
inline cudaError_t cudaFree(void *memory) { return host::Memory::one().give(memory); }
inline cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned) { return cudaMalloc(memory, bytes); }
inline cudaError_t cudaFreeHost(void *memory) { return cudaFree(memory); }
inline cudaError_t cudaFuncSetAttribute(const void *, cudaFuncAttribute, int) { return cudaSuccess; }

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
  return *stream = new host::Stream, cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return host::land(stream), cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  stream->copies.push_back([=] { memcpy(to, from, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  host::enqueue(stream, [=] { memset(to, value, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) { return *event = new host::Event, cudaSuccess; }
inline cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  host::land(stream);
  return event->time = std::chrono::steady_clock::now(), cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
  return *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count(), cudaSuccess;
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  return stream->recording = new host::Graph, cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  *graph = stream->recording;
  stream->recording = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
  return *exec = new host::Graph(*graph), cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  host::land(stream);
  for (const auto &work : exec->work) work();
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return delete exec, cudaSuccess; }
