#include "prefill_gemm.cuh"

#if defined(DS_HOST) || defined(_WIN32)

namespace ds {

int64_t cublasLtVersion() { return 0; }
bool multiplyByCublasLt(ds_stream *, int32_t, const ManyRowsProduct &) { return false; }

}  // namespace ds

#else

#include <dlfcn.h>

#include <algorithm>
#include <tuple>

namespace ds {

constexpr int THREADS = 256;
/* What Hopper's kernels want at most. */
constexpr size_t WORKSPACE_BYTES = 32 << 20;

/* cuBLASLt's numbers for what is asked of it here. */
constexpr int COMPUTE_32F = 68;
constexpr int DESC_TRANSA = 3;
constexpr int PREFER_WORKSPACE_BYTES = 1, PREFER_ALIGNMENT_A = 5, PREFER_ALIGNMENT_B = 6, PREFER_ALIGNMENT_C = 7,
              PREFER_ALIGNMENT_D = 8;
constexpr int TRANSPOSED = 1;

struct Algorithm {
  uint64_t opaque[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspaceBytes;
  int status;
  float waves;
  int reserved[4];
};

/* Its functions, null where it was not found. A status of 0 is success. */
struct Library {
  size_t (*version)() = nullptr;
  int (*create)(void **handle);
  int (*destroy)(void *handle);
  int (*createDesc)(void **desc, int compute, int scaleType);
  int (*destroyDesc)(void *desc);
  int (*setDesc)(void *desc, int attribute, const void *value, size_t bytes);
  int (*createLayout)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t stride);
  int (*destroyLayout)(void *layout);
  int (*createPreference)(void **preference);
  int (*destroyPreference)(void *preference);
  int (*setPreference)(void *preference, int attribute, const void *value, size_t bytes);
  int (*choose)(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference, int wanted, Heuristic *found,
                int *count);
  int (*multiply)(void *handle, void *desc, const void *alpha, const void *a, void *aLayout, const void *b, void *bLayout,
                  const void *beta, const void *c, void *cLayout, void *d, void *dLayout, const Algorithm *algorithm,
                  void *workspace, size_t workspaceBytes, cudaStream_t stream);

  static const Library &one() {
    static const Library library;
    return library;
  }

 private:
  Library() {
    void *file = nullptr;
    for (const char *name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}) {
      if (file == nullptr) file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (file == nullptr) return;
    const bool isWhole = find(file, create, "cublasLtCreate") && find(file, destroy, "cublasLtDestroy") &&
                         find(file, createDesc, "cublasLtMatmulDescCreate") && find(file, destroyDesc, "cublasLtMatmulDescDestroy") &&
                         find(file, setDesc, "cublasLtMatmulDescSetAttribute") &&
                         find(file, createLayout, "cublasLtMatrixLayoutCreate") &&
                         find(file, destroyLayout, "cublasLtMatrixLayoutDestroy") &&
                         find(file, createPreference, "cublasLtMatmulPreferenceCreate") &&
                         find(file, destroyPreference, "cublasLtMatmulPreferenceDestroy") &&
                         find(file, setPreference, "cublasLtMatmulPreferenceSetAttribute") &&
                         find(file, choose, "cublasLtMatmulAlgoGetHeuristic") && find(file, multiply, "cublasLtMatmul");
    if (!isWhole || !find(file, version, "cublasLtGetVersion")) version = nullptr;
  }

  template <class F>
  static bool find(void *file, F *&function, const char *name) {
    function = reinterpret_cast<F *>(dlsym(file, name));
    return function != nullptr;
  }
};

/* How one shape is multiplied. */
struct Plan {
  void *desc = nullptr, *weight = nullptr, *x = nullptr, *out = nullptr;
  Algorithm algorithm{};
  size_t workspaceBytes = 0;
  bool isUsable = false;

  Plan() = default;
  Plan(const Plan &) = delete;
  ~Plan() {
    const Library &library = Library::one();
    if (desc != nullptr) library.destroyDesc(desc);
    for (void *layout : {weight, x, out}) {
      if (layout != nullptr) library.destroyLayout(layout);
    }
  }
};

/* dtype, R, N, I, columns of x, stride of out, alignment of out in bytes. */
using Shape = std::tuple<int32_t, int, int, int, int64_t, int64_t, uint32_t>;

/* What a stream keeps of cuBLASLt. */
struct Blas {
  void *handle = nullptr;
  std::map<Shape, Plan> plans;
  Blas() {
    if (Library::one().create(&handle) != 0) handle = nullptr;
  }
  ~Blas() {
    plans.clear();
    if (handle != nullptr) Library::one().destroy(handle);
  }
};

/* Column by column, as cuBLASLt sees matrices: out [N, R] = weight [I, N] transposed · x [I, R]. */
static void makePlan(Plan &plan, void *handle, const Shape &shape) {
  const Library &library = Library::one();
  const auto [dtype, R, N, I, width, stride, alignment] = shape;
  const int type = dtype == DS_BF16 ? CUDA_R_16BF : CUDA_R_16F;
  const uint32_t aligned = 16;
  void *preference = nullptr;
  Heuristic found{};
  int count = 0;
  const bool isFound = library.createDesc(&plan.desc, COMPUTE_32F, CUDA_R_32F) == 0 &&
                       library.setDesc(plan.desc, DESC_TRANSA, &TRANSPOSED, sizeof TRANSPOSED) == 0 &&
                       library.createLayout(&plan.weight, type, I, N, I) == 0 &&
                       library.createLayout(&plan.x, type, I, R, width) == 0 &&
                       library.createLayout(&plan.out, CUDA_R_32F, N, R, stride) == 0 &&
                       library.createPreference(&preference) == 0 &&
                       library.setPreference(preference, PREFER_WORKSPACE_BYTES, &WORKSPACE_BYTES, sizeof WORKSPACE_BYTES) == 0 &&
                       library.setPreference(preference, PREFER_ALIGNMENT_A, &aligned, sizeof aligned) == 0 &&
                       library.setPreference(preference, PREFER_ALIGNMENT_B, &aligned, sizeof aligned) == 0 &&
                       library.setPreference(preference, PREFER_ALIGNMENT_C, &alignment, sizeof alignment) == 0 &&
                       library.setPreference(preference, PREFER_ALIGNMENT_D, &alignment, sizeof alignment) == 0 &&
                       library.choose(handle, plan.desc, plan.weight, plan.x, plan.out, plan.out, preference, 1, &found, &count) == 0;
  if (preference != nullptr) library.destroyPreference(preference);
  plan.isUsable = isFound && count == 1 && found.status == 0;
  plan.algorithm = found.algorithm;
  plan.workspaceBytes = found.workspaceBytes;
}

/* out[r] ← out[r]·scales[r] + bias; most rows have a scale of 1. */
static __global__ void finishRow(float *out, const float *scales, const float *bias, int64_t stride, int N) {
  const float scale = scales == nullptr ? 1.0f : scales[blockIdx.x];
  if (scale == 1 && bias == nullptr) return;
  float *row = out + blockIdx.x * stride;
  for (int n = threadIdx.x; n < N; n += THREADS) row[n] = row[n] * scale + (bias == nullptr ? 0.0f : bias[n]);
}

int64_t cublasLtVersion() {
  const Library &library = Library::one();
  return library.version == nullptr ? 0 : static_cast<int64_t>(library.version());
}

bool multiplyByCublasLt(ds_stream *stream, int32_t dtype, const ManyRowsProduct &product) {
  if (stream->facts.cublaslt_version == 0) return false;
  void *workspace = stream->scratch("cuBLASLt", WORKSPACE_BYTES);
  if (stream->isRehearsal) return true;

  float *out = product.out + product.column;
  const auto address = reinterpret_cast<uintptr_t>(out);
  const auto alignment = static_cast<uint32_t>(std::min<uintptr_t>(address & -address, 256));
  const Shape shape{dtype, product.R, product.N, product.I, product.x.width, product.stride, alignment};
  auto *blas = static_cast<Blas *>(stream->blas.get());
  if (blas == nullptr || blas->plans.count(shape) == 0) {
    if (stream->isRecording) throw Failure(DS_STALE, "Cannot record a matrix product of a new shape: run it once first");
    if (blas == nullptr) {
      stream->blas = std::make_shared<Blas>();
      blas = static_cast<Blas *>(stream->blas.get());
    }
    if (blas->handle == nullptr) {
      stream->facts.cublaslt_version = 0;
      return false;
    }
    makePlan(blas->plans[shape], blas->handle, shape);
  }
  Plan &plan = blas->plans[shape];
  if (!plan.isUsable) return false;
  const float one = 1, zero = 0;
  const int status = Library::one().multiply(blas->handle, plan.desc, &one, product.weight, plan.weight, product.x.values, plan.x, &zero,
                                             out, plan.out, out, plan.out, &plan.algorithm, workspace, plan.workspaceBytes,
                                             stream->cuda);
  if (status != 0) {
    plan.isUsable = false;
    return false;
  }
  if (product.x.scales != nullptr || product.bias != nullptr) {
    launch(stream, {dim3(product.R), THREADS}, finishRow, out, product.x.scales, product.bias, product.stride, product.N);
  }
  return true;
}

}  // namespace ds

#endif
