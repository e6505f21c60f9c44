// Runs a test under every order of threads that the SIMT shim knows; once more where a GPU decides.
#pragma once
#include "ops_cuda/runtime.h"

namespace limbeck {

template <class F>
void for_each_order(F&& f) {
#if defined(LIMBECK_SIM)
  const simt::Order before = simt::order();
  for (const simt::Order order : simt::all_orders) {
    if (order == before) continue;
    simt::set_order(order, 1);
    f(simt::name_of(order));
  }
  simt::set_order(before);
#else
  f("the machine's");
#endif
}

}  // namespace limbeck
