/*
 * libds_cuda: the contract of core/backend.ts as a C library, op for op.
 *
 * Symbols as there: T rows of the step, D hidden size, Hq query heads, Hk KV heads, d head dimension, S capacity of a slot in
 * tokens, C label channels, W label words, K places of a selection. Tensors are row-major and know their type and shape, so ops
 * take no sizes. Ops are enqueued on the stream and return at once; shapes are the caller's to check.
 *
 * Every function returns a ds_status unless said otherwise; what went wrong is then in ds_last_error(), of the calling thread.
 * A stream is used by one thread at a time, but for ds_wait; the thread's current device of CUDA must be the stream's, as it is
 * where ds_open was called last.
 */
#ifndef DS_H
#define DS_H

#include <stdint.h>

#if defined(_WIN32)
#define DS_API __declspec(dllexport)
#else
#define DS_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised with every change that a caller compiled for the version before would not survive. */
#define DS_ABI_VERSION 1

typedef int32_t ds_status;
enum {
  DS_OK = 0,
  /* A mistake of the caller: a type or a size that an op does not take. */
  DS_INVALID = 1,
  DS_OUT_OF_MEMORY = 2,
  /* No device, no driver, or one that is too old. */
  DS_UNAVAILABLE = 3,
  /* The device or its driver failed; nothing more can be done with the stream. */
  DS_FAILED = 4,
  /* A recording that names working memory which has moved since: record again. */
  DS_STALE = 5
};

/* Element types, in the order of core/dtype.ts. */
enum {
  DS_F32 = 0,
  DS_F16 = 1,
  DS_BF16 = 2,
  DS_I32 = 3,
  DS_U32 = 4,
  DS_U8 = 5,
  DS_Q8_0 = 6,
  DS_Q4_0 = 7,
  DS_Q4_1 = 8,
  DS_Q4_K = 9,
  DS_Q6_K = 10
};

enum { DS_PLACE_DEVICE = 0, DS_PLACE_HOST = 1 };

typedef struct ds_stream ds_stream;
typedef struct ds_tensor ds_tensor;
typedef struct ds_mark ds_mark;
typedef struct ds_recording ds_recording;

/* What a device is. Bytes are 0 where unknown; versions are as CUDA writes them, 13000 for 13.0. */
typedef struct {
  char name[256];
  int64_t total_bytes;
  int64_t free_bytes;
  int32_t capability_major;
  int32_t capability_minor;
  int32_t multiprocessors;
  int32_t l2_bytes;
  int32_t driver_version;
  int32_t runtime_version;
  /* As cuBLASLt writes it. 0: it was not found, prefill multiplies by the library's own kernels. */
  int64_t cublaslt_version;
  /* 1: these kernels run on the host's processor, for tests. */
  int32_t is_host;
} ds_device_facts;

/* The library's DS_ABI_VERSION; no status. */
DS_API int32_t ds_abi_version(void);
/* One sentence, empty if nothing failed yet on this thread; no status. Good until the thread's next call. */
DS_API const char *ds_last_error(void);

/* stream */

DS_API ds_status ds_open(int32_t device, ds_stream **stream);
/*
 * A stream of the same device whose memory is counted and not taken: ops take the working memory they would and do nothing,
 * downloads are zeros. What a plan of memory is made with.
 */
DS_API ds_status ds_open_rehearsal(const ds_stream *like, ds_stream **stream);
DS_API ds_status ds_describe(ds_stream *stream, ds_device_facts *facts);
/*
 * Waits for what is enqueued and frees everything that was made on the stream: tensors, marks and recordings too. Cannot fail: what
 * went wrong on the device is told by what waits for it.
 */
DS_API ds_status ds_close(ds_stream *stream);
/*
 * The rows of the ops from here on: arrays of `rows` entries, copied. `kind` tells what about them ops decide by on the host: ops
 * enqueued after two steps of the same kind put the same work on the stream.
 */
DS_API ds_status ds_begin_step(ds_stream *stream, int32_t rows, const int32_t *tokens, const int32_t *slots,
                               const int32_t *positions, const int32_t *homes, int64_t *kind);
/* Everything enqueued between the two becomes one recording instead of running. */
DS_API ds_status ds_record_begin(ds_stream *stream);
DS_API ds_status ds_record_end(ds_stream *stream, ds_recording **recording);
DS_API ds_status ds_replay(ds_stream *stream, ds_recording *recording);
DS_API ds_status ds_drop_recording(ds_stream *stream, ds_recording *recording);
/* A point in the stream. ds_wait may be called by any thread, and returns when all before the point is done. */
DS_API ds_status ds_mark_here(ds_stream *stream, ds_mark **mark);
DS_API ds_status ds_wait(ds_mark *mark);
DS_API ds_status ds_drop_mark(ds_stream *stream, ds_mark *mark);
/* Milliseconds of the device's clock between two marks that were waited for. */
DS_API ds_status ds_milliseconds(ds_mark *from, ds_mark *to, float *milliseconds);

/* memory */

/* What ds_alloc takes of the device, rounding included. */
DS_API ds_status ds_footprint(int32_t dtype, int32_t rank, const int64_t *shape, int32_t place, int64_t *bytes);
/* Not cleared. DS_OUT_OF_MEMORY names what was asked for and what is free. */
DS_API ds_status ds_alloc(ds_stream *stream, int32_t dtype, int32_t rank, const int64_t *shape, int32_t place,
                          ds_tensor **tensor);
/* Waits for what is enqueued. No recording that names the tensor may be replayed any more. */
DS_API ds_status ds_free(ds_stream *stream, ds_tensor *tensor);
/* All bytes 0, in stream order. */
DS_API ds_status ds_clear(ds_stream *stream, ds_tensor *tensor);
/* In stream order; `data` is the caller's again when it returns. Many kilobytes wait for the device. */
DS_API ds_status ds_upload(ds_stream *stream, ds_tensor *tensor, const void *data, int64_t byte_offset, int64_t bytes);
/* Starts copying to memory of the library, in stream order; after ds_wait on the mark ds_take_download copies it to `data`. */
DS_API ds_status ds_begin_download(ds_stream *stream, ds_tensor *tensor, int64_t byte_offset, int64_t bytes, ds_mark **mark);
/* Drops the mark as well. */
DS_API ds_status ds_take_download(ds_stream *stream, ds_mark *mark, void *data);
/* Bytes of the device taken by tensors, by working memory, and by both when they were most. */
DS_API ds_status ds_held(ds_stream *stream, int64_t *tensor_bytes, int64_t *workspace_bytes, int64_t *most_bytes);

/* transformer; a null tensor stands for one that is absent */

DS_API ds_status ds_embed(ds_stream *stream, ds_tensor *out, ds_tensor *table);
DS_API ds_status ds_gather_rows(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *indices);
DS_API ds_status ds_rms_norm(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *weight, float epsilon);
DS_API ds_status ds_linear(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *weight, ds_tensor *bias, int64_t column);
DS_API ds_status ds_rope(ds_stream *stream, ds_tensor *qkv, ds_tensor *table, int32_t heads, int32_t kv_heads,
                         ds_tensor *query_norm, ds_tensor *key_norm, float epsilon);
DS_API ds_status ds_swiglu(ds_stream *stream, ds_tensor *out, ds_tensor *gate_up);
DS_API ds_status ds_add(ds_stream *stream, ds_tensor *x, ds_tensor *y);
DS_API ds_status ds_argmax(ds_stream *stream, ds_tensor *token, ds_tensor *logits);

/* mixture of experts */

DS_API ds_status ds_route_experts(ds_stream *stream, ds_tensor *experts, ds_tensor *mix, ds_tensor *logits, int32_t renormalise);
DS_API ds_status ds_linear_experts(ds_stream *stream, ds_tensor *out, ds_tensor *x, ds_tensor *weight, ds_tensor *experts,
                                   ds_tensor *mix);

/* attention; without labels `words` and what belongs to it are null */

DS_API ds_status ds_append_kv(ds_stream *stream, ds_tensor *kv, ds_tensor *qkv, int32_t wide, int32_t narrow, ds_tensor *words,
                              ds_tensor *channels, ds_tensor *zero, ds_tensor *inverse_step, ds_tensor *value_sums);
DS_API ds_status ds_attend(ds_stream *stream, ds_tensor *out, ds_tensor *qkv, ds_tensor *kv, float scale, int64_t window);
DS_API ds_status ds_score_labels(ds_stream *stream, ds_tensor *scores, ds_tensor *exponents, ds_tensor *maxima, ds_tensor *qkv,
                                 int32_t wide, int32_t narrow, ds_tensor *words, ds_tensor *channels, ds_tensor *step);
DS_API ds_status ds_select_tokens(ds_stream *stream, ds_tensor *indices, ds_tensor *counts, ds_tensor *tail_mass,
                                  ds_tensor *scores, ds_tensor *exponents, ds_tensor *maxima, ds_tensor *heavy_tokens,
                                  int32_t head_dim, int32_t sink_tokens, int32_t recent_tokens);
/* ds_score_labels, then ds_select_tokens, in fewer launches where the shapes allow. */
DS_API ds_status ds_score_and_select(ds_stream *stream, ds_tensor *indices, ds_tensor *counts, ds_tensor *tail_mass,
                                     ds_tensor *scores, ds_tensor *exponents, ds_tensor *maxima, ds_tensor *heavy_tokens,
                                     int32_t sink_tokens, int32_t recent_tokens, ds_tensor *qkv, int32_t wide, int32_t narrow,
                                     ds_tensor *words, ds_tensor *channels, ds_tensor *step);
/* With a tail all of tail_mass, scores, exponents, maxima and value_sums; without it they are null. */
DS_API ds_status ds_attend_selected(ds_stream *stream, ds_tensor *out, ds_tensor *qkv, ds_tensor *kv, ds_tensor *indices,
                                    ds_tensor *counts, float scale, ds_tensor *staging, ds_tensor *tail_mass, ds_tensor *scores,
                                    ds_tensor *exponents, ds_tensor *maxima, ds_tensor *value_sums, int32_t sink_tokens,
                                    int32_t recent_tokens);

/* offload */

DS_API ds_status ds_fetch_rows(ds_stream *stream, ds_tensor *staging, ds_tensor *kv, ds_tensor *indices, ds_tensor *counts);

#ifdef __cplusplus
}
#endif

#endif
