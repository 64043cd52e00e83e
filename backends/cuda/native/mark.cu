#include "stream.cuh"

namespace ds {

ds_mark *newMark(ds_stream *stream) {
  cudaEvent_t event = nullptr;
  if (!stream->isRehearsal) check(cudaEventCreateWithFlags(&event, cudaEventDefault), "making an event");
  auto *mark = new ds_mark{event, nullptr, 0, 0};
  stream->marks.insert(mark);
  return mark;
}

}  // namespace ds

using namespace ds;

ds_status ds_mark_here(ds_stream *stream, ds_mark **mark) {
  return guarded([&] {
    *mark = newMark(stream);
    if (!stream->isRehearsal) check(cudaEventRecord((*mark)->event, stream->cuda), "marking");
  });
}

ds_status ds_wait(ds_mark *mark) {
  return guarded([&] {
    if (mark->event != nullptr) check(cudaEventSynchronize(mark->event), "in the work before, seen while waiting");
  });
}

ds_status ds_drop_mark(ds_stream *stream, ds_mark *mark) {
  return guarded([&] {
    if (mark->copy != nullptr) stream->copies.emplace(mark->bytes, mark->copy);
    const cudaError_t error = mark->event == nullptr ? cudaSuccess : cudaEventDestroy(mark->event);
    stream->marks.erase(mark);
    delete mark;
    check(error, "dropping an event");
  });
}

ds_status ds_milliseconds(ds_mark *from, ds_mark *to, float *milliseconds) {
  return guarded([&] {
    *milliseconds = 0;
    if (from->event == nullptr) return;
    check(cudaEventElapsedTime(milliseconds, from->event, to->event), "reading the device's clock");
  });
}
