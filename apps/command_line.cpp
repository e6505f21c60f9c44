#include "apps/command_line.h"

#include <CLI/CLI.hpp>

#include "apps/command.h"
#include "ops/execution.h"
#include "tensor/error.h"

namespace limbeck {

CommandOption& CommandOption::required() { return option_->required(), *this; }
CommandOption& CommandOption::show_default() { return option_->capture_default_str(), *this; }
CommandOption& CommandOption::positive() { return option_->check(CLI::PositiveNumber), *this; }
CommandOption& CommandOption::non_negative() {
  return option_->check(CLI::NonNegativeNumber), *this;
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
LIMBECK_OPTION_OF(uint64_t)
LIMBECK_OPTION_OF(double)
LIMBECK_OPTION_OF(bool)
LIMBECK_OPTION_OF(std::vector<std::string>)
LIMBECK_OPTION_OF(std::vector<int64_t>)
LIMBECK_OPTION_OF(std::vector<double>)
#undef LIMBECK_OPTION_OF

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
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
}

}  // namespace limbeck
