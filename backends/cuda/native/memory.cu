#include <algorithm>
#include <cstring>

#include "stream.cuh"

namespace ds {

void *takeMemory(ds_stream *stream, int64_t bytes, int32_t place, const char *what) {
  void *memory = nullptr;
  /* An address is all that a rehearsal needs. */
  if (stream->isRehearsal) return reinterpret_cast<void *>(GRAIN);
  const cudaError_t error = place == DS_PLACE_HOST ? cudaHostAlloc(&memory, bytes, cudaHostAllocDefault)
                                                   : cudaMalloc(&memory, bytes);
  if (error == cudaErrorMemoryAllocation) {
    size_t free = 0, total = 0;
    cudaGetLastError();
    cudaMemGetInfo(&free, &total);
    char text[512];
    if (place == DS_PLACE_HOST) {
      int64_t held = 0;
      for (const ds_tensor *tensor : stream->tensors) held += tensor->place == DS_PLACE_HOST ? tensor->bytes : 0;
      snprintf(text, sizeof text, "Cannot hold %s, %lld bytes of the host's memory for the device to read, beside %lld of tensors",
               what, static_cast<long long>(bytes), static_cast<long long>(held));
      throw Failure(DS_OUT_OF_MEMORY, text);
    }
    snprintf(text, sizeof text,
             "Cannot hold %s, %lld bytes: %zu of the device's %zu bytes are free, beside %lld of tensors and %lld of working memory",
             what, static_cast<long long>(bytes), free, total, static_cast<long long>(stream->tensorBytes),
             static_cast<long long>(stream->workspaceBytes));
    throw Failure(DS_OUT_OF_MEMORY, text);
  }
  check(error, "taking memory");
  return memory;
}

void giveMemory(const ds_stream *stream, void *memory, int32_t place) {
  if (stream->isRehearsal) return;
  check(place == DS_PLACE_HOST ? cudaFreeHost(memory) : cudaFree(memory), "giving memory back");
}

/* What a launch takes along by value. */
constexpr int PIECE_BYTES = 2048, MOST_PIECES = 8;
struct Piece {
  unsigned char bytes[PIECE_BYTES];
};

static __global__ void writePiece(unsigned char *to, Piece piece, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) to[i] = piece.bytes[i];
}

/*
 * An asynchronous copy from memory that is not pinned may still read it after the call: CUDA promises only that arguments of a
 * launch are copied. What every step brings goes that way, as waiting would keep host and device from working side by side.
 */
void copyIn(ds_stream *stream, void *to, const void *data, int64_t bytes) {
  if (stream->isRehearsal) return;
  if (bytes > MOST_PIECES * PIECE_BYTES) {
    check(cudaMemcpyAsync(to, data, bytes, cudaMemcpyDefault, stream->cuda), "uploading");
    check(cudaStreamSynchronize(stream->cuda), "in an upload or the work before it");
    return;
  }
  for (int64_t at = 0; at < bytes; at += PIECE_BYTES) {
    const int count = static_cast<int>(std::min<int64_t>(bytes - at, PIECE_BYTES));
    Piece piece;
    memcpy(piece.bytes, static_cast<const char *>(data) + at, count);
    launch(stream, {1, 256}, writePiece, static_cast<unsigned char *>(to) + at, piece, count);
  }
}

struct Blocks {
  int64_t values, bytes;
};

/* Values and bytes of a block, by dtype. */
static Blocks blocksOf(int32_t dtype) {
  static const Blocks all[] = {{1, 4}, {1, 2}, {1, 2}, {1, 4}, {1, 4}, {1, 1}, {32, 34}, {32, 18}, {32, 20}, {256, 144}, {256, 210}};
  if (dtype < 0 || dtype >= static_cast<int32_t>(sizeof all / sizeof *all)) invalid("Cannot hold type %d: unknown", dtype);
  return all[dtype];
}

static int64_t bytesOf(int32_t dtype, int32_t rank, const int64_t *shape) {
  if (rank < 1 || rank > 5) invalid("Cannot hold a tensor of %d axes: needs 1 to 5", rank);
  const Blocks block = blocksOf(dtype);
  int64_t count = 1;
  for (int i = 0; i < rank; i++) {
    if (shape[i] < 1 || count > (int64_t{1} << 48) / shape[i]) invalid("Cannot hold a tensor with an axis of %lld", static_cast<long long>(shape[i]));
    count *= shape[i];
  }
  if (shape[rank - 1] % block.values != 0) {
    invalid("Cannot pack rows of %lld values: blocks of type %d hold %lld", static_cast<long long>(shape[rank - 1]), dtype,
            static_cast<long long>(block.values));
  }
  return count / block.values * block.bytes;
}

static void countMost(ds_stream *stream) {
  stream->mostBytes = std::max(stream->mostBytes, stream->tensorBytes + stream->workspaceBytes);
}

void mustLieIn(const ds_tensor *tensor, int64_t offset, int64_t bytes) {
  if (offset < 0 || bytes < 0 || offset > tensor->bytes - bytes) {
    invalid("Cannot copy %lld bytes at %lld of a tensor: it has %lld", static_cast<long long>(bytes), static_cast<long long>(offset),
            static_cast<long long>(tensor->bytes));
  }
}

}  // namespace ds

using namespace ds;

void *ds_stream::scratch(const std::string &name, int64_t bytes, bool isZero) {
  Scratch &known = scratches[name];
  if (known.bytes >= bytes) return known.data;
  if (isRecording) throw Failure(DS_STALE, "Cannot record an op whose working memory has yet to grow: run it once first");
  const int64_t wanted = rounded(bytes);
  void *fresh = takeMemory(this, wanted, DS_PLACE_DEVICE, ("working memory for " + name).c_str());
  if (known.data != nullptr) {
    /* Earlier ops may still use it. */
    if (!isRehearsal) check(cudaStreamSynchronize(cuda), "waiting");
    giveMemory(this, known.data, DS_PLACE_DEVICE);
    generation++;
  }
  workspaceBytes += wanted;
  /* The old and the new are held together while the one replaces the other. */
  countMost(this);
  workspaceBytes -= known.bytes;
  known = {fresh, wanted};
  if (isZero && !isRehearsal) check(cudaMemsetAsync(fresh, 0, wanted, cuda), "clearing working memory");
  return fresh;
}

ds_status ds_footprint(int32_t dtype, int32_t rank, const int64_t *shape, int32_t place, int64_t *bytes) {
  return guarded([&] { *bytes = place == DS_PLACE_HOST ? 0 : rounded(bytesOf(dtype, rank, shape)); });
}

ds_status ds_alloc(ds_stream *stream, int32_t dtype, int32_t rank, const int64_t *shape, int32_t place, ds_tensor **tensor) {
  return guarded([&] {
    const int64_t bytes = bytesOf(dtype, rank, shape);
    std::string what = "a tensor of [";
    for (int i = 0; i < rank; i++) what += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    auto *made = new ds_tensor{nullptr, dtype, place, rank, {}, bytes};
    std::copy(shape, shape + rank, made->shape);
    try {
      made->data = takeMemory(stream, rounded(bytes), place, (what + "]").c_str());
    } catch (...) {
      delete made;
      throw;
    }
    if (place == DS_PLACE_DEVICE) stream->tensorBytes += rounded(bytes);
    countMost(stream);
    stream->tensors.insert(made);
    *tensor = made;
  });
}

ds_status ds_free(ds_stream *stream, ds_tensor *tensor) {
  return guarded([&] {
    if (stream->tensors.erase(tensor) == 0) invalid("Cannot free a tensor that is not of this stream");
    /* Earlier ops may still use it. */
    if (!stream->isRehearsal) check(cudaStreamSynchronize(stream->cuda), "in the work before, seen while freeing a tensor");
    if (tensor->place == DS_PLACE_DEVICE) stream->tensorBytes -= rounded(tensor->bytes);
    giveMemory(stream, tensor->data, tensor->place);
    delete tensor;
  });
}

ds_status ds_clear(ds_stream *stream, ds_tensor *tensor) {
  return guarded([&] {
    if (!stream->isRehearsal) check(cudaMemsetAsync(tensor->data, 0, tensor->bytes, stream->cuda), "clearing a tensor");
  });
}

ds_status ds_upload(ds_stream *stream, ds_tensor *tensor, const void *data, int64_t byte_offset, int64_t bytes) {
  return guarded([&] {
    mustLieIn(tensor, byte_offset, bytes);
    copyIn(stream, static_cast<char *>(tensor->data) + byte_offset, data, bytes);
  });
}

ds_status ds_held(ds_stream *stream, int64_t *tensor_bytes, int64_t *workspace_bytes, int64_t *most_bytes) {
  *tensor_bytes = stream->tensorBytes;
  *workspace_bytes = stream->workspaceBytes;
  *most_bytes = stream->mostBytes;
  return DS_OK;
}
