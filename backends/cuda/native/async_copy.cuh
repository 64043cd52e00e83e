/* Copies of 16 bytes from device to shared memory that a thread starts and waits for later. */
#pragma once

#include "device.cuh"

namespace ds {

#ifdef DS_HOST

__device__ inline void copyAsync(void *shared, const void *global, bool isThere = true) {
  if ((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global)) % 16 != 0) ::host::fail("cp.async off 16 bytes");
  ::host::races::copy(shared, 16);
  ::host::self->copies.back().push_back({shared, global, isThere ? 16 : 0, 16});
}
__device__ inline void commitCopies() { ::host::self->copies.emplace_back(); }
template <int LEFT>
__device__ inline void awaitCopies() {
  auto &groups = ::host::self->copies;
  while (groups.size() > LEFT + 1) {
    for (const ::host::AsyncCopy &copy : groups.front()) {
      ::host::races::copy(copy.to, copy.filled);
      memset(copy.to, 0, copy.filled);
      memcpy(copy.to, copy.from, copy.bytes);
    }
    groups.erase(groups.begin());
  }
}

#else

/* 16 zeros where `isThere` is false: `global` is not read then. Both addresses are multiples of 16. */
__device__ inline void copyAsync(void *shared, const void *global, bool isThere = true) {
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int bytes = isThere ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
}
/* Ends a group of copies. */
__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/* Waits for all groups of this thread but the last LEFT; other threads see what came only after a barrier. */
template <int LEFT>
__device__ inline void awaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

#endif

}  // namespace ds
