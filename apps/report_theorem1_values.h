// What the report reads of the stages that measured Theorem 1.
#pragma once
#include <string>
#include <vector>

#include "apps/report_groups.h"

namespace limbeck::report::theorem1 {

/// The mean over repetitions; NaN where there is none.
double value_of(const Subject& s, const std::string& key);
/// Value and standard error, "0.5 ± 0.125"; "-" where there is none.
std::string with_error(const Subject& s, const std::string& key);
/// "-" for NaN.
std::string number(double x);

/// The group's students whose terms were measured.
std::vector<Subject> measured(const Group& group);
/// Of a student, whoever taught it.
std::string network_of(const Subject& s);

/// The lowest loss on test images of all networks that were measured: what V(best) is at most, and
/// at least it is 0. NaN without any.
double lowest_loss(const std::vector<Subject>& subjects);
/// The lowest one of a student with this network: what V of the best of its class is at most.
double lowest_loss_of(const std::string& network, const std::vector<Subject>& subjects);

}  // namespace limbeck::report::theorem1
