// Fibers: functions with stacks of their own that one thread runs in turns. The SIMT shim runs each
// CUDA thread as one. x86-64 switches in 15 instructions; other machines, and builds with
// LIMBECK_SIMT_UCONTEXT, use ucontext (a system call each).
#pragma once
#include <cstddef>

namespace limbeck::simt {

class Fiber {
 public:
  /// `entry` runs at the first resume() and must never return; it gives control back with park().
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;

  /// Continues the fiber until it parks. From outside any fiber only.
  void resume();
  /// Back to whoever resumed the fiber that runs now.
  static void park();

 private:
  static void start();
  void* context_ = nullptr;  // stack pointer, or ucontext_t
  char* memory_ = nullptr;   // guard page, then the stack
  void (*entry_)();
  void* fake_stack_ = nullptr;  // of AddressSanitizer
};

}  // namespace limbeck::simt
