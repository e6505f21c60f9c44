// OperatorTrace: the operator calls of a forward pass, with what went in and came out. The export
// of networks (nn/onnx.h) translates them one by one, tangents (autograd/tangents.h) follow them.
#pragma once
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace limbeck {

/// One apply() of a table operator, or one record() of a function that is none (`op` is null).
struct OperatorCall {
  std::string name;
  const Op* op = nullptr;
  Attrs attrs;
  Variables inputs, outputs;  ///< kept, so that Variable::impl() tells them apart
};

/// Collects the calls of this thread while alive. Traces nest; the innermost one records.
class OperatorTrace {
 public:
  OperatorTrace();
  ~OperatorTrace();
  OperatorTrace(const OperatorTrace&) = delete;
  const std::vector<OperatorCall>& calls() const { return calls_; }

  /// Called by apply() and record(); does nothing when no trace is alive.
  static void note(const std::string& name, const Op* op, const Attrs& attrs,
                   const Variables& inputs, const Variables& outputs);

 private:
  std::vector<OperatorCall> calls_;
  OperatorTrace* outer_;
};

}  // namespace limbeck
