// The command line of one subcommand. A thin face of CLI11, which is slow to compile and therefore
// included in one file only (command_line.cpp).
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace limbeck {

/// One option; the calls chain.
class CommandOption {
 public:
  explicit CommandOption(CLI::Option* option) : option_(option) {}
  CommandOption& required();
  /// Shows the present value of the target as the default in --help.
  CommandOption& show_default();
  CommandOption& positive();
  /// A whole number from low to high.
  CommandOption& in_range(int64_t low, int64_t high);
  CommandOption& non_negative();
  CommandOption& one_of(std::initializer_list<const char*> choices);
  /// What --help calls the value: "FILE".
  CommandOption& value_name(const std::string& name);
  /// A list option takes one value each time it is given, so that `--set a=1 file` leaves the file
  /// alone.
  CommandOption& one_value_each();

 private:
  CLI::Option* option_;
};

/// Names: "--out", "-o,--op", or "name" for a positional. Targets must live until the command line
/// has been read.
class CommandLine {
 public:
  explicit CommandLine(CLI::App* app) : app_(app) {}
  CommandOption add_option(const std::string& name, std::string& target, const std::string& help);
  CommandOption add_option(const std::string& name, int& target, const std::string& help);
  CommandOption add_option(const std::string& name, int64_t& target, const std::string& help);
  CommandOption add_option(const std::string& name, uint64_t& target, const std::string& help);
  CommandOption add_option(const std::string& name, double& target, const std::string& help);
  CommandOption add_option(const std::string& name, bool& target, const std::string& help);
  CommandOption add_option(const std::string& name, std::vector<std::string>& target,
                           const std::string& help);
  CommandOption add_option(const std::string& name, std::vector<int64_t>& target,
                           const std::string& help);
  CommandOption add_option(const std::string& name, std::vector<double>& target,
                           const std::string& help);
  /// --threads: 1 to 1024; 0 in the target when it is not given.
  CommandOption add_threads_option(int& target, const std::string& help);
  CommandOption add_flag(const std::string& name, bool& target, const std::string& help);
  CommandLine add_subcommand(const std::string& name, const std::string& summary);
  /// One of the subcommands has to be given.
  void require_subcommand();
  void footer(const std::string& text);
  /// The work; runs once the whole command line has been read.
  void callback(std::function<void()> work);

 private:
  CLI::App* app_;
};

}  // namespace limbeck
