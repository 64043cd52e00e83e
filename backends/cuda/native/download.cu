#include <cstring>

#include "stream.cuh"

using namespace ds;

ds_status ds_begin_download(ds_stream *stream, ds_tensor *tensor, int64_t byte_offset, int64_t bytes, ds_mark **mark) {
  return guarded([&] {
    mustLieIn(tensor, byte_offset, bytes);
    auto *made = newMark(stream);
    made->asked = bytes;
    *mark = made;
    if (stream->isRehearsal) return;
    try {
      const auto found = stream->copies.lower_bound(bytes);
      if (found != stream->copies.end() && found->first <= 4 * bytes + 4096) {
        made->bytes = found->first;
        made->copy = found->second;
        stream->copies.erase(found);
      } else {
        made->bytes = rounded(bytes);
        made->copy = takeMemory(stream, made->bytes, DS_PLACE_HOST, "a download");
      }
      check(cudaMemcpyAsync(made->copy, static_cast<const char *>(tensor->data) + byte_offset, bytes, cudaMemcpyDefault, stream->cuda),
            "downloading");
      check(cudaEventRecord(made->event, stream->cuda), "marking a download");
    } catch (...) {
      ds_drop_mark(stream, made);
      throw;
    }
  });
}

ds_status ds_take_download(ds_stream *stream, ds_mark *mark, void *data) {
  return guarded([&] {
    if (data != nullptr && mark->copy == nullptr) memset(data, 0, mark->asked);
    else if (data != nullptr) memcpy(data, mark->copy, mark->asked);
    /* Large ones are not worth keeping: what is downloaded often is small. */
    if (mark->bytes > (1 << 20)) {
      giveMemory(stream, mark->copy, DS_PLACE_HOST);
      mark->copy = nullptr;
    }
    ds_drop_mark(stream, mark);
  });
}
