// The form of the settings for a teacher that regresses: which terms have a meaning for responses.
#pragma once
#include <string>

#include "kd/data_free/settings.h"

namespace limbeck::kd::data_free {

/// The generator is asked for responses, drawn evenly: cls becomes mean |T(x) - y| of all images,
/// one_hot, balance and activation, which keep images of no requested class apart, are left out;
/// the student learns mean (S(x) - T(x))^2 and, by the weight of the cross entropy, (S(x) - y)^2
/// (absolute differences with form l1), and no attention maps, beside which these would weigh
/// nothing. cls and lr become 10 and .01 where they are the method's own defaults.
/// `without_norms`: the teacher has no BatchNorm2d, so a weight of the statistics that is the
/// default's is left out too.
/// Throws naming the key below `section` where a setting needs classes or a generator that is asked
/// for something, and for a weight of the statistics that somebody chose for a teacher without
/// BatchNorm2d.
Settings for_responses(Settings settings, const Settings& defaults, bool without_norms,
                       const std::string& section);

}  // namespace limbeck::kd::data_free
