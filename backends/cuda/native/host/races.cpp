/* What g++ -fsanitize=thread calls, in place of its own library, which knows nothing of CUDA's order. Compiled without that flag. */
#include <link.h>

#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "call_path.h"
#include "fibers.h"

namespace host::races {

/* Reports of different places. */
constexpr size_t MOST_TOLD = 50;

enum Kind { READ, WRITE, ATOMIC, KINDS };
static const char *const NOW[] = {"reads", "writes", "updates"}, *const BEFORE[] = {"read", "wrote", "updated"};

/* Who touched a byte since the barrier before this interval. */
struct Touches {
  uint64_t interval = 0;
  /* A bit each: all warps, and the lanes of the last one since its `syncs`th __syncwarp. */
  uint32_t warps = 0, lanes = 0;
  unsigned warp = 0, syncs = 0;
};

struct Byte {
  Touches by[KINDS];
};

/* Memory a block shares, on this system thread. */
struct Shared {
  const unsigned char *start = nullptr;
  size_t size = 0;
  std::vector<Byte> bytes;
  bool has(const void *at, size_t count) const {
    const auto *byte = static_cast<const unsigned char *>(at);
    return byte >= start && byte + count <= start + size;
  }
};

static thread_local Shared dynamic, fixed;
static thread_local uint64_t interval = 0;
static thread_local std::vector<unsigned> syncs;
/* While this looks at an access: what it calls from the standard library may be compiled to come here. */
static thread_local bool isInside = false;
static std::atomic<int> found{0};

/* This thread's copy of all that this library declares thread_local: where __shared__ variables are. */
static int findFixed(dl_phdr_info *library, size_t, void *) {
  bool isMine = false;
  size_t size = 0;
  for (int i = 0; i < library->dlpi_phnum; i++) {
    const auto &part = library->dlpi_phdr[i];
    const uintptr_t start = library->dlpi_addr + part.p_vaddr, here = reinterpret_cast<uintptr_t>(&findFixed);
    if (part.p_type == PT_LOAD && here >= start && here < start + part.p_memsz) isMine = true;
    if (part.p_type == PT_TLS) size = part.p_memsz;
  }
  if (!isMine) return 0;
  fixed.start = static_cast<const unsigned char *>(library->dlpi_tls_data);
  fixed.size = size;
  fixed.bytes.resize(size);
  return 1;
}

/* Whether it is thread_local for the fibers' sake. */
static bool isOfFibers(const void *at) {
  const auto isIn = [at](const auto &variable) { return at >= &variable && at < &variable + 1; };
  return isIn(self) || isIn(body) || isIn(scheduler) || isIn(unused);
}

static void report(const void *at, Kind kind, Kind earlier, unsigned warp, const void *access) {
  static std::mutex mutex;
  static std::set<std::tuple<CallPath, Kind, Kind>> told;
  found++;
  std::lock_guard<std::mutex> lock(mutex);
  if (told.size() == MOST_TOLD) return;
  const CallPath path = callPathFrom(access);
  if (!told.insert({path, kind, earlier}).second) return;
  std::string memory = "static shared memory";
  if (dynamic.has(at, 1)) memory = "dynamic shared memory at " + std::to_string(static_cast<const unsigned char *>(at) - dynamic.start);
  fprintf(stderr, "CUDA on the host: race: thread %td %s what warp %u %s, %s: %s\n", self - self->block->threads.data(), NOW[kind],
          warp, BEFORE[earlier], memory.c_str(), describe(path).c_str());
}

/* Reports the first of the earlier accesses to a byte that nothing orders before this one. */
static void look(const Byte &byte, const void *at, Kind kind, unsigned thread, const void *access) {
  const unsigned warp = thread / WARP, lane = thread % WARP;
  for (const Kind earlier : {READ, WRITE, ATOMIC}) {
    const Touches &by = byte.by[earlier];
    if (by.interval != interval || (kind == earlier && kind != WRITE)) continue;
    const uint32_t others = by.warps & ~(1u << warp);
    const bool isLane = by.warp == warp && by.syncs == syncs[thread] && (by.lanes & ~(1u << lane)) != 0;
    if (others != 0 || isLane) return report(at, kind, earlier, others != 0 ? __builtin_ctz(others) : warp, access);
  }
}

static void note(Touches &by, unsigned thread) {
  const unsigned warp = thread / WARP;
  if (by.interval != interval) by = {interval, 0, 0, warp, syncs[thread]};
  if (by.warp != warp || by.syncs != syncs[thread]) by.lanes = 0, by.warp = warp, by.syncs = syncs[thread];
  by.warps |= 1u << warp;
  by.lanes |= 1u << thread % WARP;
}

static void touch(const void *at, size_t count, Kind kind, const void *access) {
  if (self == nullptr || isInside || self->state == State::Done) return;
  Shared *shared = dynamic.has(at, count) ? &dynamic : fixed.has(at, count) && !isOfFibers(at) ? &fixed : nullptr;
  if (shared == nullptr) return;
  isInside = true;
  const auto *first = static_cast<const unsigned char *>(at);
  const unsigned thread = self - self->block->threads.data();
  Byte *bytes = &shared->bytes[first - shared->start];
  for (size_t i = 0; i < count; i++) {
    look(bytes[i], first + i, kind, thread, access);
    note(bytes[i].by[kind], thread);
  }
  isInside = false;
}

void beginBlock(const unsigned char *shared, size_t bytes) {
  isInside = true;
  dynamic.start = shared;
  dynamic.size = bytes;
  if (dynamic.bytes.size() < bytes) dynamic.bytes.resize(bytes);
  if (fixed.start == nullptr) dl_iterate_phdr(findFixed, nullptr);
  syncs.assign(1024, 0);
  interval++;
  isInside = false;
}

void passBarrier() { interval++; }
void passWarp() { syncs[self - self->block->threads.data()]++; }
void copy(const void *to, size_t bytes) { touch(to, bytes, WRITE, __builtin_return_address(0)); }

}  // namespace host::races

using namespace host::races;

#define HERE __builtin_return_address(0)
#define PLAIN(bytes, prefix)                                                                   \
  void __tsan_##prefix##read##bytes(const void *at) { touch(at, bytes, READ, HERE); }          \
  void __tsan_##prefix##write##bytes(void *at) { touch(at, bytes, WRITE, HERE); }
#define PLAINS(bytes) PLAIN(bytes, ) PLAIN(bytes, unaligned_) PLAIN(bytes, volatile_)
#define UPDATE(bits, R, T, name, call)                                                         \
  R __tsan_atomic##bits##_##name(T *at, T value, int order) {                                  \
    touch(at, sizeof(T), ATOMIC, HERE);                                                        \
    return call(at, value, order);                                                             \
  }
#define ATOMICS(bits, T)                                                                       \
  UPDATE(bits, void, T, store, __atomic_store_n)                                               \
  UPDATE(bits, T, T, exchange, __atomic_exchange_n)                                               \
  UPDATE(bits, T, T, fetch_add, __atomic_fetch_add)                                               \
  UPDATE(bits, T, T, fetch_or, __atomic_fetch_or)                                                 \
  T __tsan_atomic##bits##_load(const T *at, int order) {                                       \
    touch(at, sizeof(T), ATOMIC, HERE);                                                        \
    return __atomic_load_n(at, order);                                                         \
  }                                                                                            \
  bool __tsan_atomic##bits##_compare_exchange_strong(T *at, T *old, T value, int, int) {       \
    touch(at, sizeof(T), ATOMIC, HERE);                                                        \
    return __atomic_compare_exchange_n(at, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }

extern "C" {
PLAINS(1) PLAINS(2) PLAINS(4) PLAINS(8) PLAINS(16)
ATOMICS(8, uint8_t) ATOMICS(32, uint32_t) ATOMICS(64, uint64_t)
void __tsan_read_range(const void *at, size_t bytes) { touch(at, bytes, READ, HERE); }
void __tsan_write_range(void *at, size_t bytes) { touch(at, bytes, WRITE, HERE); }
void __tsan_atomic_thread_fence(int) { std::atomic_thread_fence(std::memory_order_seq_cst); }
void __tsan_init() {}
void __tsan_vptr_update(void *, void *) {}
void __tsan_vptr_read(void *) {}

/* Races since it was asked last. */
__attribute__((visibility("default"))) int ds_host_races() { return found.exchange(0); }
}
