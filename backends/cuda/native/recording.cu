#include "stream.cuh"

using namespace ds;

ds_status ds_record_begin(ds_stream *stream) {
  return guarded([&] {
    if (stream->isRehearsal) invalid("Cannot record a rehearsal: it does nothing");
    check(cudaStreamBeginCapture(stream->cuda, cudaStreamCaptureModeThreadLocal), "beginning to record");
    stream->isRecording = true;
  });
}

ds_status ds_record_end(ds_stream *stream, ds_recording **recording) {
  return guarded([&] {
    stream->isRecording = false;
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream->cuda, &graph), "recording");
    cudaGraphExec_t exec = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    check(error, "making a graph of a recording");
    *recording = new ds_recording{exec, stream->generation};
    stream->recordings.insert(*recording);
  });
}

ds_status ds_replay(ds_stream *stream, ds_recording *recording) {
  return guarded([&] {
    if (recording->generation != stream->generation) throw Failure(DS_STALE, "Cannot replay: working memory has moved since");
    check(cudaGraphLaunch(recording->graph, stream->cuda), "replaying");
  });
}

ds_status ds_drop_recording(ds_stream *stream, ds_recording *recording) {
  return guarded([&] {
    const cudaError_t error = cudaGraphExecDestroy(recording->graph);
    stream->recordings.erase(recording);
    delete recording;
    check(error, "dropping a recording");
  });
}
