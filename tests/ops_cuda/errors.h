// What a statement throws, and a check of its words.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "tensor/error.h"

namespace limbeck {

/// The message of the Error that f() throws, or "no error".
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace limbeck

#define EXPECT_ERROR(statement, text)                                        \
  do {                                                                       \
    const std::string found_error = ::limbeck::error_of([&] { statement; }); \
    EXPECT_NE(found_error.find(text), std::string::npos)                     \
        << "expected '" << (text) << "' in: " << found_error;                \
  } while (0)
