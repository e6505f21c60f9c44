#include "ops_cuda/sim/simt.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "ops_cuda/sim/fiber.h"
#include "tensor/error.h"

namespace limbeck::simt {
namespace {

enum class State : uint8_t { fresh, ready, at_barrier, in_warp, done };

struct Copy {
  void* to;
  const void* from;
  size_t bytes, valid;
};

struct Thread {
  uint3 index;
  int number = 0;
  State state = State::fresh;
  Fiber* fiber = nullptr;
  // Where it waits.
  std::source_location barrier;
  const char* what = nullptr;
  unsigned mask = 0;
  void* lane = nullptr;
  // Asynchronous copies that have not been waited for, oldest first: committed groups, then `open`
  // more.
  std::vector<Copy> copies;
  std::vector<size_t> groups;  // their sizes
  size_t open = 0;

  void restart() {
    state = State::fresh;
    copies.clear(), groups.clear();
    open = 0;
  }
};

/// One bit per lane, kept so that warp instructions need not ask every thread.
struct Warp {
  unsigned present = 0, done = 0, waiting = 0;  // waiting: in a warp instruction
  const char* what = nullptr;  // which one, and its mask, while all that wait agree
  unsigned mask = 0;
  bool mixed = false;  // they do not

  void open(unsigned lanes) {
    waiting &= ~lanes;
    if (!waiting) mixed = false;
  }
};

struct SharedVariable {
  const void* key;
  std::unique_ptr<char[]> memory;
  size_t bytes;
  bool fresh;  // not yet used in this block
};

/// The one launch that runs now.
struct Machine {
  std::string kernel;
  dim3 grid, block;
  const std::function<void()>* body = nullptr;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<int> order;  // of the threads
  std::vector<SharedVariable> shared;
  std::unique_ptr<char[]> dynamic;
  size_t dynamic_bytes = 0;
  Thread* current = nullptr;
  int live = 0, at_barrier = 0;
  bool failed = false;
  std::string failure;
  std::vector<std::unique_ptr<Fiber>> fibers;  // all, kept between launches
  std::vector<Fiber*> idle;
  std::mt19937_64 random;
};

Machine& machine() {
  static Machine* m = new Machine;  // fibers may be parked for ever; nothing to tear down
  return *m;
}
std::mutex launch_mutex;

struct OrderSetting {
  Order order = Order::forward;
  uint64_t seed = 0;
  OrderSetting() {
    const char* text = std::getenv("LIMBECK_SIMT_ORDER");
    if (!text) return;
    for (Order o : all_orders)
      if (std::string_view(text) == name_of(o)) {
        order = o;
        return;
      }
    std::fprintf(stderr,
                 "LIMBECK_SIMT_ORDER=%s: expected forward, reverse, random or warp-depth-first\n",
                 text);
    std::exit(2);
  }
};
OrderSetting& setting() {
  static OrderSetting s;
  return s;
}

std::string place(uint3 i) { return cat("(", i.x, ", ", i.y, ", ", i.z, ")"); }
std::string short_name(const std::source_location& at) {
  const std::string_view file = at.file_name();
  return cat(file.substr(file.rfind('/') + 1), ":", at.line());
}

/// Every fiber runs one thread after the other; a thread that parks keeps its fiber.
void fiber_main() {
  Machine& m = machine();
  while (true) {
    (*m.body)();
    m.current->state = State::done;
    Fiber::park();
  }
}

Fiber* take_fiber() {
  Machine& m = machine();
  if (m.idle.empty()) {
    m.fibers.push_back(std::make_unique<Fiber>(fiber_main));
    return m.fibers.back().get();
  }
  Fiber* f = m.idle.back();
  m.idle.pop_back();
  return f;
}

bool runnable(const Thread& t) { return t.state == State::fresh || t.state == State::ready; }

/// The other threads stay where they are; their stacks are given up.
[[noreturn]] void abandon() {
  Machine& m = machine();
  m.fibers.clear();
  m.idle.clear();
  m.shared.clear();
  m.dynamic.reset();
  throw Error(std::exchange(m.failure, {}));
}

Warp& warp_of(const Thread& t) { return machine().warps[static_cast<size_t>(t.number / 32)]; }
unsigned bit_of(const Thread& t) { return 1u << t.number % 32; }

void check_left_behind(const Thread& gone);

void resume(Thread& t) {
  Machine& m = machine();
  if (!t.fiber) t.fiber = take_fiber();
  t.state = State::ready;
  m.current = &t;
  threadIdx = t.index;
  t.fiber->resume();
  if (m.failed) abandon();
  if (t.state != State::done) return;
  m.idle.push_back(std::exchange(t.fiber, nullptr));
  --m.live;
  Warp& warp = warp_of(t);
  warp.done |= bit_of(t);
  if (warp.waiting) check_left_behind(t);
}

void record_failure(const std::string& message, uint3 thread) {
  Machine& m = machine();
  m.failed = true;
  m.failure = cat("kernel ", m.kernel, ": ", message, " [block ", place(blockIdx), ", thread ",
                  place(thread), "]");
}
[[noreturn]] void fail_from_scheduler(const std::string& message, const Thread& t) {
  record_failure(message, t.index);
  abandon();
}

/// Lanes that wait for a thread which has left would wait for ever.
void check_left_behind(const Thread& gone) {
  Machine& m = machine();
  const int first = gone.number / 32 * 32, bit = gone.number % 32;
  for (int i = first; i < std::min<int>(first + 32, static_cast<int>(m.threads.size())); ++i)
    if (const Thread& t = m.threads[i]; t.state == State::in_warp && (t.mask >> bit & 1))
      fail_from_scheduler(cat(t.what, ": the mask names lane ", bit, ", which has left the kernel"),
                          t);
}

bool sweep() {
  Machine& m = machine();
  bool any = false;
  for (const int i : m.order)
    if (Thread& t = m.threads[i]; runnable(t)) resume(t), any = true;
  return any;
}

bool sweep_warps() {
  Machine& m = machine();
  const int n = static_cast<int>(m.threads.size());
  bool any = false;
  for (int first = 0; first < n; first += 32)
    for (bool moved = true; moved;) {
      moved = false;
      for (int i = first; i < std::min(first + 32, n); ++i)
        if (runnable(m.threads[i])) resume(m.threads[i]), moved = any = true;
    }
  return any;
}

/// All threads that still run wait at __syncthreads: at the same one, with none missing?
void open_barrier() {
  Machine& m = machine();
  const int total = static_cast<int>(m.threads.size());
  const Thread* first = nullptr;
  for (const Thread& t : m.threads) {
    if (t.state != State::at_barrier) continue;
    if (!first) first = &t;
    if (t.barrier.line() != first->barrier.line() ||
        (t.barrier.file_name() != first->barrier.file_name() &&
         std::string_view(t.barrier.file_name()) != first->barrier.file_name()))
      fail_from_scheduler(cat("divergent __syncthreads: thread ", place(first->index), " waits at ",
                              short_name(first->barrier), ", this one at ", short_name(t.barrier)),
                          t);
  }
  if (m.live < total)
    fail_from_scheduler(cat("divergent __syncthreads at ", short_name(first->barrier), ": ",
                            total - m.live, " of ", total, " threads left the kernel before it"),
                        *first);
  for (Thread& t : m.threads) t.state = State::ready;
  m.at_barrier = 0;
}

[[noreturn]] void report_deadlock() {
  Machine& m = machine();
  int at_barrier = 0, in_warp = 0;
  const Thread* stuck = nullptr;
  for (const Thread& t : m.threads) {
    at_barrier += t.state == State::at_barrier;
    in_warp += t.state == State::in_warp;
    if (t.state == State::in_warp && !stuck) stuck = &t;
  }
  fail_from_scheduler(cat("deadlock: ", in_warp, " threads wait in a warp instruction (",
                          stuck->what, " with mask 0x", std::hex, stuck->mask, std::dec,
                          ") for lanes that never come, ", at_barrier, " at __syncthreads"),
                      *stuck);
}

void run_block() {
  Machine& m = machine();
  for (Thread& t : m.threads) t.restart();
  for (Warp& w : m.warps) w = {.present = w.present};
  for (SharedVariable& v : m.shared) v.fresh = true;
  if (m.dynamic_bytes) std::memset(m.dynamic.get(), 0xff, m.dynamic_bytes);
  m.live = static_cast<int>(m.threads.size());
  m.at_barrier = 0;
  if (setting().order == Order::random) std::shuffle(m.order.begin(), m.order.end(), m.random);
  while (m.live > 0) {
    const bool moved = setting().order == Order::warp_depth_first ? sweep_warps() : sweep();
    if (m.live == 0) return;
    if (m.at_barrier == m.live)
      open_barrier();
    else if (!moved)
      report_deadlock();
  }
}

void prepare(const std::string& kernel, dim3 grid, dim3 block, size_t dynamic_shared,
             const std::function<void()>& body) {
  Machine& m = machine();
  m.kernel = kernel;
  m.grid = gridDim = grid;
  m.block = blockDim = block;
  m.body = &body;
  m.failed = false;
  m.shared.clear();
  m.dynamic_bytes = dynamic_shared;
  m.dynamic.reset(dynamic_shared ? new char[dynamic_shared] : nullptr);
  m.threads.resize(size_t{block.x} * block.y * block.z);
  m.warps.assign((m.threads.size() + 31) / 32, {});
  m.order.resize(m.threads.size());
  std::iota(m.order.begin(), m.order.end(), 0);
  if (setting().order == Order::reverse) std::reverse(m.order.begin(), m.order.end());
  for (unsigned i = 0; i < m.threads.size(); ++i) {
    Thread& t = m.threads[i];
    t.number = static_cast<int>(i);
    t.index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
    t.fiber = nullptr;  // a failed launch leaves them parked
    warp_of(t).present |= bit_of(t);
  }
  m.random.seed(setting().seed);
}

}  // namespace

const char* name_of(Order order) {
  switch (order) {
    case Order::forward: return "forward";
    case Order::reverse: return "reverse";
    case Order::random: return "random";
    case Order::warp_depth_first: return "warp-depth-first";
  }
  return "?";
}
Order order() { return setting().order; }
void set_order(Order order, uint64_t seed) { setting().order = order, setting().seed = seed; }

void run(const std::string& kernel, dim3 grid, dim3 block, size_t dynamic_shared,
         const std::function<void()>& body) {
  const std::lock_guard lock(launch_mutex);
  prepare(kernel, grid, block, dynamic_shared, body);
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  // random: i * stride + offset visits every block once, because the stride shares no factor with
  // their number.
  uint64_t stride = 1, offset = 0;
  if (setting().order == Order::random && blocks > 1) {
    for (stride = blocks / 2 + 1; std::gcd(stride, blocks) != 1;) ++stride;
    offset = machine().random() % blocks;
  }
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t b =
        setting().order == Order::reverse ? blocks - 1 - i : (i * stride + offset) % blocks;
    blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                static_cast<unsigned>(b / grid.x / grid.y)};
    run_block();
  }
  machine().shared.clear();
  machine().dynamic.reset();
}

void fault(std::string message) {
  record_failure(message, threadIdx);
  std::string().swap(message);  // nothing on this stack will be destroyed
  Fiber::park();
  std::abort();  // a failed thread is never resumed
}

void barrier(const std::source_location& at) {
  Thread& t = *machine().current;
  t.barrier = at;
  t.state = State::at_barrier;
  ++machine().at_barrier;
  Fiber::park();
}

int lane() { return machine().current->number % 32; }

void* shared_variable(const void* key, size_t bytes, const char* name) {
  Machine& m = machine();
  for (SharedVariable& v : m.shared)
    if (v.key == key) {
      if (v.fresh) std::memset(v.memory.get(), 0xff, v.bytes), v.fresh = false;
      return v.memory.get();
    }
  size_t total = bytes;
  for (const SharedVariable& v : m.shared) total += v.bytes;
  constexpr size_t limit = size_t{48} << 10;
  if (total > limit)
    fault(cat("shared memory: '", name, "' makes ", total,
              " bytes, the limit for static shared memory is ", limit));
  // A block of its own, so that AddressSanitizer sees an index past the end.
  m.shared.push_back({key, std::unique_ptr<char[]>(new char[bytes]), bytes, false});
  std::memset(m.shared.back().memory.get(), 0xff, bytes);
  return m.shared.back().memory.get();
}

void* dynamic_shared() {
  Machine& m = machine();
  if (!m.dynamic_bytes)
    fault("SHARED_DYN in a kernel that was launched without dynamic shared memory");
  return m.dynamic.get();
}

namespace {

/// Have all lanes of the mask come? Fills lanes[]; whatever is wrong with this call ends the
/// launch.
bool all_lanes_here(const char* what, unsigned mask, const Thread& self, void** lanes) {
  Machine& m = machine();
  const int first = self.number / 32 * 32, own = self.number % 32;
  if (!(mask >> own & 1))
    fault(cat(what, ": lane ", own, " calls with a mask that does not name it"));
  bool all_here = true;
  for (int i = 0; i < 32; ++i) {
    if (!(mask >> i & 1) || i == own) continue;
    if (first + i >= static_cast<int>(m.threads.size()))
      fault(cat(what, ": the mask names lane ", i, ", but the block has only ", m.threads.size(),
                " threads"));
    const Thread& t = m.threads[first + i];
    if (t.state == State::done)
      fault(cat(what, ": the mask names lane ", i, ", which has left the kernel"));
    if (t.state == State::in_warp &&
        (t.mask >> own & 1)) {  // in an instruction of other lanes it may still be on its way here
      if (t.mask != mask || std::string_view(t.what) != what)
        fault(cat(what, " with mask 0x", std::hex, mask, ": lane ", std::dec, i, " waits in ",
                  t.what, " with mask 0x", std::hex, t.mask));
      lanes[i] = t.lane;
    } else {
      all_here = false;
    }
  }
  return all_here;
}

}  // namespace

void collective(const char* what, unsigned mask, void* lane_data, Complete complete) {
  Machine& m = machine();
  Thread& self = *m.current;
  Warp& warp = warp_of(self);
  Thread* const threads = &m.threads[static_cast<size_t>(self.number / 32 * 32)];
  const unsigned own = bit_of(self);
  void* lanes[32] = {};
  const bool alike = !warp.waiting || (!warp.mixed && warp.what == what && warp.mask == mask);
  bool all_here;
  if (alike && (mask & own) && !(mask & (warp.done | ~warp.present))) {  // nothing can be wrong
    all_here = (warp.waiting | own) == mask;
    if (all_here)
      for (unsigned rest = warp.waiting; rest; rest &= rest - 1)
        lanes[std::countr_zero(rest)] = threads[std::countr_zero(rest)].lane;
  } else {
    all_here = all_lanes_here(what, mask, self, lanes);
  }
  if (all_here) {
    lanes[self.number % 32] = lane_data;
    complete(lanes, mask);
    for (unsigned rest = mask & ~own; rest; rest &= rest - 1)
      threads[std::countr_zero(rest)].state = State::ready;
    warp.open(mask);
    return;
  }
  if (!warp.waiting) warp.what = what, warp.mask = mask;
  warp.mixed |= !alike;
  warp.waiting |= own;
  self.what = what;
  self.mask = mask;
  self.lane = lane_data;
  self.state = State::in_warp;
  Fiber::park();
}

void shuffle(void* const* lanes, unsigned mask) {
  for (int i = 0; i < 32; ++i) {
    if (!(mask >> i & 1)) continue;
    auto& s = *static_cast<Shuffle*>(lanes[i]);
    if (s.width < 1 || s.width > 32 || (s.width & (s.width - 1)))
      fault(cat("shuffle: width ", s.width, ", expected a power of two up to 32"));
    const int segment = i / s.width * s.width;
    int from = i;
    if (s.mode == Shuffle::index) from = segment + (s.operand & (s.width - 1));
    if (s.mode == Shuffle::up && i - s.operand >= segment) from = i - s.operand;
    if (s.mode == Shuffle::down && i + s.operand < segment + s.width) from = i + s.operand;
    if (s.mode == Shuffle::exclusive_or && (i ^ s.operand) < segment + s.width)
      from = i ^ s.operand;
    if (!(mask >> from & 1))
      fault(cat("shuffle: lane ", i, " reads lane ", from, ", which is not in the mask"));
    s.result = static_cast<Shuffle*>(lanes[from])->bits;
  }
}

void vote(void* const* lanes, unsigned mask) {
  unsigned result = 0;
  for (int i = 0; i < 32; ++i)
    if ((mask >> i & 1) && static_cast<Vote*>(lanes[i])->predicate) result |= 1u << i;
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1) static_cast<Vote*>(lanes[i])->result = result;
}

void copy_async(void* to, const void* from, size_t bytes, size_t valid_bytes) {
  check_alignment(to, bytes, "asynchronous copy, destination");
  check_alignment(from, bytes, "asynchronous copy, source");
  Thread& t = *machine().current;
  t.copies.push_back({to, from, bytes, valid_bytes});
  ++t.open;
}

void commit_copies() {
  Thread& t = *machine().current;
  t.groups.push_back(std::exchange(t.open, 0));
}

void wait_for_copies(int groups_left) {
  Thread& t = *machine().current;
  const auto finished = static_cast<std::ptrdiff_t>(t.groups.size()) - groups_left;
  if (finished <= 0) return;
  const auto count = static_cast<std::ptrdiff_t>(
      std::accumulate(t.groups.begin(), t.groups.begin() + finished, size_t{0}));
  for (auto c = t.copies.begin(); c != t.copies.begin() + count; ++c) {
    std::memcpy(c->to, c->from, c->valid);
    std::memset(static_cast<char*>(c->to) + c->valid, 0, c->bytes - c->valid);
  }
  t.copies.erase(t.copies.begin(), t.copies.begin() + count);
  t.groups.erase(t.groups.begin(), t.groups.begin() + finished);
}

void check_alignment(const void* p, size_t bytes, const char* what) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0)
    fault(cat("misaligned ", what, ": address ", p, " is not a multiple of ", bytes));
}

}  // namespace limbeck::simt
