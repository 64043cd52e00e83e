#include "stream.cuh"

#include <cstdarg>
#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "prefill_gemm.cuh"

namespace ds {

static thread_local std::string lastError;

ds_status failed(ds_status status, const char *text) {
  lastError = text;
  return status;
}

void invalid(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Failure(DS_INVALID, text);
}

void check(cudaError_t error, const char *what, const char *file, int line) {
  if (error == cudaSuccess) return;
  /* Else the next launch is told of it. */
  cudaGetLastError();
  const char *name = strrchr(file, '/');
  char text[512];
  snprintf(text, sizeof text, "CUDA failed %s (%s:%d): %s (%s)", what, name == nullptr ? file : name + 1, line,
           cudaGetErrorString(error), cudaGetErrorName(error));
  if (error != cudaErrorMemoryAllocation) throw Failure(DS_FAILED, text);
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw Failure(DS_OUT_OF_MEMORY, std::string(text) + "; " + std::to_string(free) + " of the device's " + std::to_string(total) +
                                      " bytes are free");
}

void allowShared(const void *kernel, int device, size_t bytes, const char *file, int line) {
  static std::mutex mutex;
  static std::map<std::pair<int, const void *>, size_t> allowed;
  std::lock_guard<std::mutex> lock(mutex);
  size_t &most = allowed[{device, kernel}];
  if (bytes <= most) return;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "asking for shared memory", file, line);
  most = bytes;
}

/* CUDA writes 13.0 as 13000. */
static std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace ds

using namespace ds;

int32_t ds_abi_version(void) { return DS_ABI_VERSION; }
const char *ds_last_error(void) { return lastError.c_str(); }

ds_status ds_open(int32_t device, ds_stream **stream) {
  return guarded([&] {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
      int driver = 0, runtime = 0;
      cudaDriverGetVersion(&driver);
      cudaRuntimeGetVersion(&runtime);
      const std::string found = driver == 0             ? "no NVIDIA driver is installed"
                                : error == cudaSuccess  ? "the driver found no GPU"
                                                        : std::string("the driver says: ") + cudaGetErrorString(error);
      const std::string versions =
          driver == 0 ? "" : " (driver for CUDA " + versionText(driver) + ", libds_cuda of CUDA " + versionText(runtime) + ")";
      throw Failure(DS_UNAVAILABLE, "Cannot use CUDA: it needs an NVIDIA GPU and its driver, and " + found + versions);
    }
    if (device < 0 || device >= count) invalid("Cannot open device %d: there are %d", device, count);
    check(cudaSetDevice(device), "choosing a device");
    cudaDeviceProp found;
    check(cudaGetDeviceProperties(&found, device), "describing a device");
#ifndef DS_HOST
    if (found.major < 8) {
      char text[512];
      snprintf(text, sizeof text, "Cannot use %s: it needs compute capability 8.0 or later, and this GPU has %d.%d", found.name,
               found.major, found.minor);
      throw Failure(DS_UNAVAILABLE, text);
    }
#endif
    auto *made = new ds_stream{};
    made->device = device;
    made->sharedBytes = found.sharedMemPerBlockOptin;
    ds_device_facts &facts = made->facts;
    snprintf(facts.name, sizeof facts.name, "%s", found.name);
    facts.total_bytes = found.totalGlobalMem;
    facts.capability_major = found.major;
    facts.capability_minor = found.minor;
    facts.multiprocessors = found.multiProcessorCount;
    facts.l2_bytes = found.l2CacheSize;
    facts.cublaslt_version = cublasLtVersion();
#ifdef DS_HOST
    facts.is_host = 1;
#endif
    cudaDriverGetVersion(&facts.driver_version);
    cudaRuntimeGetVersion(&facts.runtime_version);
    const cudaError_t opened = cudaStreamCreateWithFlags(&made->cuda, cudaStreamNonBlocking);
    if (opened != cudaSuccess) delete made;
    check(opened, "making a stream");
    *stream = made;
  });
}

ds_status ds_open_rehearsal(const ds_stream *like, ds_stream **stream) {
  return guarded([&] {
    auto *made = new ds_stream{};
    made->device = like->device;
    made->facts = like->facts;
    made->sharedBytes = like->sharedBytes;
    made->isRehearsal = true;
    *stream = made;
  });
}

ds_status ds_describe(ds_stream *stream, ds_device_facts *facts) {
  return guarded([&] {
    *facts = stream->facts;
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    facts->free_bytes = free;
  });
}

/* Of a device that failed nothing can be given back: that has been told where it was seen, and is no failure to close. */
ds_status ds_close(ds_stream *stream) {
  const auto give = [&](void *memory, int32_t place) { guarded([&] { giveMemory(stream, memory, place); }); };
  if (!stream->isRehearsal) cudaStreamSynchronize(stream->cuda);
  while (!stream->recordings.empty()) ds_drop_recording(stream, *stream->recordings.begin());
  while (!stream->marks.empty()) ds_drop_mark(stream, *stream->marks.begin());
  for (ds_tensor *tensor : stream->tensors) {
    give(tensor->data, tensor->place);
    delete tensor;
  }
  for (const auto &entry : stream->scratches) give(entry.second.data, DS_PLACE_DEVICE);
  for (const auto &entry : stream->copies) give(entry.second, DS_PLACE_HOST);
  stream->blas.reset();
  if (!stream->isRehearsal) cudaStreamDestroy(stream->cuda);
  cudaGetLastError();
  delete stream;
  return DS_OK;
}

ds_status ds_begin_step(ds_stream *stream, int32_t rows, const int32_t *tokens, const int32_t *slots, const int32_t *positions,
                        const int32_t *homes, int64_t *kind) {
  return guarded([&] {
    if (rows < 1) invalid("Cannot begin a step of %d rows: needs at least 1", rows);
    std::vector<Row> table(rows);
    bool isChunk = rows > 1;
    for (int t = 0; t < rows; t++) {
      table[t] = {tokens[t], slots[t], positions[t], homes[t]};
      isChunk = isChunk && slots[t] == slots[0] && positions[t] == positions[0] + t && homes[t] == positions[t];
    }
    stream->T = rows;
    stream->isChunk = isChunk;
    stream->rows = stream->scratchOf<Row>("rows of " + std::to_string(rows), rows);
    copyIn(stream, stream->rows, table.data(), rows * sizeof(Row));
    *kind = int64_t{rows} * 2 + isChunk;
  });
}
