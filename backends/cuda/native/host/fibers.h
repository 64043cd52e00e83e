/* Blocks of threads: fibers that switch where CUDA's threads would wait for each other. */
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "races.h"
#include "types.h"

namespace host {

constexpr int WARP = 32;
constexpr size_t STACK_BYTES = 256 << 10;
constexpr int EXCHANGE_BYTES = 32;

[[noreturn]] inline void fail(const char *what) {
  fprintf(stderr, "CUDA on the host: %s\n", what);
  abort();
}

enum class State { Ready, AtBarrier, AtWarp, Done };

/* What a warp's lanes give each other; two sets, as one lane may be an exchange ahead. */
struct Warp {
  int alive = 0, waiting = 0;
  const char *at = nullptr;
  alignas(16) unsigned char given[2][WARP][EXCHANGE_BYTES];
};

struct AsyncCopy {
  void *to;
  const void *from;
  int bytes, filled;
};

struct Block;
struct Fiber;

struct Thread {
  dim3 index;
  int lane = 0;
  unsigned exchanges = 0;
  State state = State::Ready;
  Warp *warp = nullptr;
  Block *block = nullptr;
  Fiber *fiber = nullptr;
  /* Groups of copies under way, the last one still open. */
  std::vector<std::vector<AsyncCopy>> copies{1};
};

struct Block {
  dim3 index, size, grid;
  int alive = 0, waiting = 0;
  /* Threads that voted in the barrier under way, and what the last one came to. */
  int votes = 0, voted = 0;
  unsigned char *shared = nullptr;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
};

struct Fiber {
  ucontext_t start;
  jmp_buf point;
  Thread *thread = nullptr;
  bool isStarted = false;
};

inline thread_local Thread *self = nullptr;
inline thread_local const std::function<void()> *body = nullptr;
inline thread_local jmp_buf scheduler;
inline thread_local ucontext_t unused;

inline void yield() {
  if (_setjmp(self->fiber->point) == 0) _longjmp(scheduler, 1);
}

inline void release(Block &block) {
  races::passBarrier();
  block.waiting = 0;
  block.voted = block.votes;
  block.votes = 0;
  for (Thread &thread : block.threads) {
    if (thread.state == State::AtBarrier) thread.state = State::Ready;
  }
}

inline void finish(Thread &thread) {
  thread.state = State::Done;
  Block &block = *thread.block;
  if (thread.warp->waiting > 0) fail("a lane ended while others of its warp exchange values");
  thread.warp->alive--;
  block.alive--;
  if (block.waiting > 0 && block.waiting == block.alive) release(block);
}

/* One fiber runs thread after thread. */
inline void fiberMain() {
  for (;;) {
    (*body)();
    finish(*self);
    yield();
  }
}

inline void barrier(int vote = 0) {
  Block &block = *self->block;
  block.votes += vote != 0;
  if (++block.waiting == block.alive) return release(block);
  self->state = State::AtBarrier;
  yield();
}

/* Waits for all lanes of the warp. */
inline void meet(const char *at) {
  Warp &warp = *self->warp;
  if (warp.waiting == 0) warp.at = at;
  if (warp.at != at && strcmp(warp.at, at) != 0) fail("lanes of one warp wait at different instructions");
  if (++warp.waiting == warp.alive) {
    warp.waiting = 0;
    Thread *first = self - self->lane;
    Thread *end = &self->block->threads.back() + 1;
    for (Thread *other = first; other < end && other < first + WARP; other++) {
      if (other->state == State::AtWarp) other->state = State::Ready;
    }
    return;
  }
  self->state = State::AtWarp;
  yield();
}

/* Gives the warp a value; `of(lane)` then reads that of any lane. */
template <class T>
struct Exchange {
  unsigned char (*given)[EXCHANGE_BYTES];
  Exchange(const T &value, const char *at) {
    static_assert(sizeof(T) <= EXCHANGE_BYTES);
    given = self->warp->given[self->exchanges++ & 1];
    memcpy(given[self->lane], &value, sizeof(T));
    meet(at);
  }
  T of(int lane) const {
    T value;
    memcpy(&value, given[lane], sizeof(T));
    return value;
  }
};

/* A system thread that runs blocks, with its fibers. */
class Core {
 public:
  void run(Block &block, const std::function<void()> &kernel, bool isReversed) {
    body = &kernel;
    const int count = block.threads.size();
    while (block.alive > 0) {
      bool moved = false;
      for (int i = 0; i < count; i++) {
        Thread &thread = block.threads[isReversed ? count - 1 - i : i];
        if (thread.state != State::Ready) continue;
        moved = true;
        resume(thread);
      }
      if (!moved) fail("threads of one block wait at different barriers");
    }
    self = nullptr;
  }

 private:
  std::vector<Fiber *> idle;

  void resume(Thread &thread) {
    if (thread.fiber == nullptr) {
      thread.fiber = idle.empty() ? make() : idle.back();
      if (!idle.empty()) idle.pop_back();
      thread.fiber->thread = &thread;
    }
    self = &thread;
    if (_setjmp(scheduler) == 0) {
      Fiber &fiber = *thread.fiber;
      if (fiber.isStarted) _longjmp(fiber.point, 1);
      fiber.isStarted = true;
      swapcontext(&unused, &fiber.start);
    }
    if (self->state == State::Done) {
      idle.push_back(self->fiber);
      self->fiber = nullptr;
    }
  }

  static Fiber *make() {
    auto *fiber = new Fiber;
    void *stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || getcontext(&fiber->start) != 0) fail("no memory for a thread's stack");
    mprotect(stack, sysconf(_SC_PAGESIZE), PROT_NONE);
    fiber->start.uc_stack.ss_sp = stack;
    fiber->start.uc_stack.ss_size = STACK_BYTES;
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, fiberMain, 0);
    return fiber;
  }
};

/* All cores; JavaScript's own thread never runs fibers, as a collector may look at its stack. */
class Pool {
 public:
  static Pool &one() {
    /* Never destroyed: its threads outlive main. */
    static Pool *pool = new Pool;
    return *pool;
  }

  void run(dim3 grid, dim3 size, size_t sharedBytes, const std::function<void()> &kernel) {
    std::lock_guard<std::mutex> turn(turns);
    std::unique_lock<std::mutex> lock(mutex);
    job = {grid, size, sharedBytes, &kernel, ++launches};
    next = 0;
    running = cores;
    wake.notify_all();
    done.wait(lock, [this] { return running == 0; });
  }

 private:
  struct Job {
    dim3 grid, size;
    size_t sharedBytes;
    const std::function<void()> *kernel;
    unsigned number;
  };

  std::mutex turns, mutex;
  std::condition_variable wake, done;
  Job job{};
  std::atomic<unsigned> next{0};
  unsigned launches = 0;
  int cores, running = 0;

  Pool() {
    cores = std::max(1u, std::thread::hardware_concurrency());
    for (int i = 0; i < cores; i++) std::thread([this] { serve(); }).detach();
  }

  void serve() {
    Core core;
    unsigned seen = 0;
    for (;;) {
      Job mine;
      {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [&] { return job.number != seen; });
        mine = job;
        seen = job.number;
      }
      work(core, mine);
      std::lock_guard<std::mutex> lock(mutex);
      if (--running == 0) done.notify_all();
    }
  }

  void work(Core &core, const Job &mine) {
    const unsigned blocks = mine.grid.x * mine.grid.y * mine.grid.z;
    const unsigned count = mine.size.x * mine.size.y * mine.size.z;
    const unsigned page = sysconf(_SC_PAGESIZE);
    const size_t room = (mine.sharedBytes + page - 1) / page * page;
    unsigned char *shared = nullptr;
    Block block;
    for (unsigned at; (at = next++) < blocks;) {
      if (shared == nullptr) {
        shared = static_cast<unsigned char *>(
            mmap(nullptr, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (shared == MAP_FAILED) fail("no memory to share");
        mprotect(shared + room, page, PROT_NONE);
      }
      memset(shared, 0xff, room);
      block.index = {at % mine.grid.x, at / mine.grid.x % mine.grid.y, at / mine.grid.x / mine.grid.y};
      block.size = mine.size;
      block.grid = mine.grid;
      block.alive = count;
      block.waiting = block.votes = 0;
      block.shared = shared + room - (mine.sharedBytes + 15) / 16 * 16;
      block.threads.resize(count);
      block.warps.assign((count + WARP - 1) / WARP, Warp{});
      for (unsigned i = 0; i < count; i++) {
        Thread &thread = block.threads[i];
        thread.index = {i % mine.size.x, i / mine.size.x % mine.size.y, i / mine.size.x / mine.size.y};
        thread.lane = i % WARP;
        thread.exchanges = 0;
        thread.state = State::Ready;
        thread.block = &block;
        thread.warp = &block.warps[i / WARP];
        thread.warp->alive++;
        if (thread.copies.size() > 1 || !thread.copies[0].empty()) thread.copies.assign(1, {});
      }
      races::beginBlock(block.shared, mine.sharedBytes);
      core.run(block, *mine.kernel, (mine.number + at) % 2 == 1);
    }
    if (shared != nullptr) munmap(shared, room + page);
  }
};

}  // namespace host

#define threadIdx (::host::self->index)
#define blockIdx (::host::self->block->index)
#define blockDim (::host::self->block->size)
#define gridDim (::host::self->block->grid)
