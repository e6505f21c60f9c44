// Operator attributes as JSON, {"stride": [2, 2], "eps": 1e-5, "act": "relu"}, and what an
// autotuner chose.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "ops/op.h"
#include "ops/tuner.h"

namespace limbeck {

/// Parses attributes of `op`; `where` (a file, an option) starts every error. An attribute that
/// none of the operator's cases uses is refused.
Attrs attrs_from_json(const Op& op, const std::string& text, const std::string& where);
nlohmann::json to_json(const Attrs& attrs);
nlohmann::json to_json(const std::vector<TunedChoice>& choices);

}  // namespace limbeck
