#include "apps/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <span>

#include "apps/command.h"
#include "ops/execution.h"
#include "tensor/error.h"

namespace limbeck {

CommandOption& CommandOption::required() { return option_->required(), *this; }
CommandOption& CommandOption::show_default() { return option_->capture_default_str(), *this; }
namespace {

/// CLI11's own ranges speak of 1.8e308; an empty answer means that the value is right.
template <class T, class F>
CLI::Validator expecting(const std::string& what, F&& holds) {
  return CLI::Validator(
      [what, holds](const std::string& text) {
        T value{};
        const char* end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, value);
        if (error == std::errc() && rest == end && holds(value)) return std::string();
        return "expected " + what + ", found '" + text + "'";
      },
      "");
}

}  // namespace

CommandOption& CommandOption::positive() {
  return option_->check(expecting<double>("a number above 0", [](double v) { return v > 0; })),
         *this;
}
CommandOption& CommandOption::non_negative() {
  return option_->check(expecting<double>("0 or more", [](double v) { return v >= 0; })), *this;
}
CommandOption& CommandOption::in_range(int64_t low, int64_t high) {
  return option_->check(expecting<int64_t>(cat("a whole number from ", low, " to ", high),
                                           [=](int64_t v) { return v >= low && v <= high; })),
         *this;
}
CommandOption& CommandOption::one_of(std::initializer_list<const char*> choices) {
  return option_->check(CLI::IsMember(std::vector<std::string>(choices.begin(), choices.end()))),
         *this;
}
CommandOption& CommandOption::value_name(const std::string& name) {
  return option_->type_name(name), *this;
}
CommandOption& CommandOption::one_value_each() { return option_->allow_extra_args(false), *this; }

#define LIMBECK_OPTION_OF(Type)                                                \
  CommandOption CommandLine::add_option(const std::string& name, Type& target, \
                                        const std::string& help) {             \
    return CommandOption(app_->add_option(name, target, help));                \
  }
LIMBECK_OPTION_OF(std::string)
LIMBECK_OPTION_OF(int)
LIMBECK_OPTION_OF(int64_t)
LIMBECK_OPTION_OF(double)
LIMBECK_OPTION_OF(bool)
LIMBECK_OPTION_OF(std::vector<std::string>)
LIMBECK_OPTION_OF(std::vector<int64_t>)
LIMBECK_OPTION_OF(std::vector<double>)
#undef LIMBECK_OPTION_OF

CommandOption CommandLine::add_option(const std::string& name, uint64_t& target,
                                      const std::string& help) {
  // CLI11 takes -1 for 2^64 - 1.
  return CommandOption(app_->add_option(name, target, help)
                           ->check(expecting<uint64_t>("a whole number from 0 to 2^64 - 1",
                                                       [](uint64_t) { return true; })));
}
CommandOption CommandLine::add_threads_option(int& target, const std::string& help) {
  return add_option("--threads", target, help).in_range(1, 1024);
}

CommandOption CommandLine::add_flag(const std::string& name, bool& target,
                                    const std::string& help) {
  return CommandOption(app_->add_flag(name, target, help));
}
CommandLine CommandLine::add_subcommand(const std::string& name, const std::string& summary) {
  return CommandLine(app_->add_subcommand(name, summary));
}
void CommandLine::require_subcommand() { app_->require_subcommand(1); }
void CommandLine::footer(const std::string& text) { app_->footer(text); }
void CommandLine::callback(std::function<void()> work) {
  app_->callback([work = std::move(work)] {
    const ExecutionScope scope;
    work();
  });
}

void run_command(const std::string& name, const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  for (const Command& command : all_commands()) {
    names.push_back(command.name);
    if (command.name != name) continue;
    CLI::App app(command.summary, name);
    CommandLine line(&app);
    command.setup(line);
    try {
      app.parse(std::vector<std::string>(arguments.rbegin(),
                                         arguments.rend()));  // CLI11 takes them in reverse
    } catch (const CLI::ParseError& e) {
      fail(name, ": ", e.what());
    }
    return;
  }
  fail("unknown subcommand '", name, "'", did_you_mean(name, names));
}

namespace {

std::vector<std::string> subcommand_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

/// CLI11 only says that one is required: which ones there are, or which one was meant. Empty when
/// the words name one.
std::string subcommand_error(const CLI::App& app, std::span<char*> words) {
  if (app.get_require_subcommand_min() == 0) return "";
  const std::vector<std::string> names = subcommand_names(app);
  const std::string who = app.get_parent() ? app.get_name() + ": " : "";
  if (words.empty()) return cat(who, "a subcommand is missing; there are: ", joined(names));
  const std::string word = words[0];
  if (word.starts_with("-")) return "";
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    if (sub->get_name() == word) return subcommand_error(*sub, words.subspan(1));
  return cat(who, "unknown subcommand '", word, "'",
             did_you_mean(word, names, "; there are: " + joined(names)));
}

/// The subcommand that was reached, with what it could not take.
const CLI::App& reached(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : reached(*parsed[0]);
}

/// A misspelt option often shows as a missing required one: it is named first. Empty: none is.
std::string unknown_option(const CLI::App& app) {
  const CLI::App& sub = reached(app);
  std::vector<std::string> names;
  for (const CLI::Option* option : sub.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  for (const std::string& word : sub.remaining())
    if (word.starts_with("--"))
      return cat(sub.get_name(), ": unknown option '", word, "'", did_you_mean(word, names));
  return "";
}

/// Exit status 2, or 0 for --help and --version.
int explain(const CLI::App& app, const CLI::ParseError& e) {
  const std::string option = e.get_exit_code() == 0 ? "" : unknown_option(app);
  if (option.empty()) return app.exit(e) == 0 ? 0 : 2;
  std::fprintf(stderr, "%s\nRun with --help for more information.\n", option.c_str());
  return 2;
}

}  // namespace

int run_program(int argc, char** argv, std::string (*version)()) {
  CLI::App app(
      "limbeck: distils a large network's knowledge into a small one through images of a "
      "conditional GAN",
      "limbeck");
  app.require_subcommand(1);
  app.set_version_flag(
      "--version", version,
      "print the version, the backends, the instruction set and the number of threads");
  app.footer(
      "Exit codes: 0 done, 1 error, 2 wrong command line, 3 interrupted with a checkpoint written "
      "(run again to continue).");
  for (const Command& command : all_commands()) {
    CommandLine line(app.add_subcommand(command.name, command.summary));
    command.setup(line);
  }
  const std::span<char*> words(argv, static_cast<size_t>(argc));
  if (const std::string error =
          subcommand_error(app, words.subspan(std::min<size_t>(1, words.size())));
      !error.empty()) {
    std::fprintf(stderr, "%s\nRun with --help for more information.\n", error.c_str());
    return 2;
  }
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return explain(app, e);
  }
}

}  // namespace limbeck
