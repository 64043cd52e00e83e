#include "select_parts.cuh"
#include "select_set.cuh"

namespace ds {

static __global__ void __launch_bounds__(ALONE_THREADS) selectSets(Selection selection) { selectSet(selection, blockIdx.x); }

static void selectWhole(ds_stream *stream, const Selection &selection) {
  const int sets = stream->T * selection.H;
  const Grid grid = {dim3(sets), dim3(selectThreads(stream, sets)),
                     static_cast<size_t>(selectionBytes(selection.g, selection.sharedTokens))};
  launch(stream, grid, selectSets, selection);
}

static void selectInParts(ds_stream *stream, const Selection &selection) {
  const int sets = stream->T * selection.H, parts = partsOf(stream, sets, selection.S, SELECT_THREADS);
  const int64_t blocks = int64_t{sets} * parts;
  const SelectionParts memory = {parts,
                                 stream->scratchOf<unsigned>("selection: bins", int64_t{sets} * BINS, true),
                                 stream->scratchOf<unsigned>("selection: arrivals", sets, true),
                                 stream->scratchOf<Bin>("selection: bins found", sets),
                                 stream->scratchOf<Cut>("selection: cuts", sets),
                                 stream->scratchOf<Passed>("selection: passed", blocks),
                                 stream->scratchOf<unsigned>("selection: candidates", sets * selection.stride),
                                 stream->scratchOf<float>("selection: masses", blocks * selection.g)};
  const Grid grid = {dim3(blocks), SELECT_THREADS, static_cast<size_t>(selectionBytes(selection.g, 0))};
  launch(stream, grid, weighParts, selection, memory);
  launch(stream, grid, narrowParts, selection, memory);
  launch(stream, grid, writeParts, selection, memory);
}

}  // namespace ds

ds_status ds_select_tokens(ds_stream *stream, ds_tensor *indices, ds_tensor *counts, ds_tensor *tail_mass, ds_tensor *scores,
                           ds_tensor *exponents, ds_tensor *maxima, ds_tensor *heavy_tokens, int32_t head_dim, int32_t sink_tokens,
                           int32_t recent_tokens) {
  using namespace ds;
  return guarded([&] {
    const bool isWhole = isOneBlock(stream, stream->T * static_cast<int>(indices->shape[1]), static_cast<int>(scores->shape[2]));
    const Selection selection = selectionOf(stream, isWhole, indices, counts, tail_mass, scores, exponents, maxima, heavy_tokens,
                                            head_dim, sink_tokens, recent_tokens);
    isWhole ? selectWhole(stream, selection) : selectInParts(stream, selection);
  });
}
