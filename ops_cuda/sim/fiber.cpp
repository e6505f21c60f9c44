#include "ops_cuda/sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "ops_cuda/sim/asan.h"
#include "tensor/error.h"

#if !defined(__x86_64__) || defined(LIMBECK_SIMT_UCONTEXT)
#define SIMT_UCONTEXT 1
#include <ucontext.h>
#else
#define SIMT_UCONTEXT 0
#endif

namespace limbeck::simt {
namespace {

constexpr size_t stack_bytes = size_t{LIMBECK_ASAN ? 256 : 64} << 10;
size_t page() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

Fiber* running = nullptr;
void* scheduler_context = nullptr;

#if LIMBECK_ASAN
const void* scheduler_stack = nullptr;
size_t scheduler_stack_bytes = 0;
void* scheduler_fake_stack = nullptr;
#endif

}  // namespace

#if !SIMT_UCONTEXT
// Saves the registers that a callee must keep, exchanges the stacks, restores.
extern "C" void limbeck_simt_switch(void** save, void* load);
asm(R"(
.text
.globl limbeck_simt_switch
.type limbeck_simt_switch, @function
limbeck_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size limbeck_simt_switch, .-limbeck_simt_switch
)");
#endif

Fiber::Fiber(void (*entry)()) : entry_(entry) {
  void* memory = mmap(nullptr, page() + stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  LIMBECK_CHECK(memory != MAP_FAILED, "SIMT shim: no memory for the stack of a thread");
  memory_ = static_cast<char*>(memory);
#if LIMBECK_ASAN
  ASAN_UNPOISON_MEMORY_REGION(
      memory_, page() + stack_bytes);  // an abandoned fiber's frames may have lain here
#endif
  mprotect(memory_, page(),
           PROT_NONE);  // a stack overflow faults here instead of in a neighbour's variables
#if SIMT_UCONTEXT
  auto* u = new ucontext_t;
  getcontext(u);
  u->uc_stack.ss_sp = memory_ + page();
  u->uc_stack.ss_size = stack_bytes;
  u->uc_link = nullptr;
  makecontext(u, &Fiber::start, 0);
  context_ = u;
#else
  // As limbeck_simt_switch leaves a stack: six registers and the address to return to; the last
  // word ends debuggers' backtraces.
  auto* top = reinterpret_cast<uint64_t*>(memory_ + page() + stack_bytes);
  *--top = 0;  // one word: a function starts 8 bytes off a multiple of 16
  *--top = reinterpret_cast<uint64_t>(&Fiber::start);
  for (int i = 0; i < 6; ++i) *--top = 0;
  context_ = top;
#endif
}

Fiber::~Fiber() {
#if SIMT_UCONTEXT
  delete static_cast<ucontext_t*>(context_);
#endif
  munmap(memory_, page() + stack_bytes);
}

void Fiber::resume() {
  running = this;
#if LIMBECK_ASAN
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, memory_ + page(), stack_bytes);
#endif
#if SIMT_UCONTEXT
  ucontext_t here;
  scheduler_context = &here;
  swapcontext(&here, static_cast<ucontext_t*>(context_));
#else
  limbeck_simt_switch(&scheduler_context, context_);
#endif
#if LIMBECK_ASAN
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
  running = nullptr;
}

void Fiber::park() {
  Fiber* self = running;
#if LIMBECK_ASAN
  __sanitizer_start_switch_fiber(&self->fake_stack_, scheduler_stack, scheduler_stack_bytes);
#endif
#if SIMT_UCONTEXT
  swapcontext(static_cast<ucontext_t*>(self->context_),
              static_cast<ucontext_t*>(scheduler_context));
#else
  limbeck_simt_switch(&self->context_, scheduler_context);
#endif
#if LIMBECK_ASAN
  __sanitizer_finish_switch_fiber(self->fake_stack_, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

void Fiber::start() {
#if LIMBECK_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  running->entry_();
  std::abort();  // entry never returns
}

}  // namespace limbeck::simt
