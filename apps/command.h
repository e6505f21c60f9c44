// Subcommands of `limbeck`. A subcommand is one file that registers itself:
//   static RegisterCommand command({"models", "list the networks", [](CommandLine& app) {
//     auto name = std::make_shared<std::string>();
//     app.add_option("--name", *name, "only this network");
//     app.callback([name] { ... });
//   }});
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "apps/command_line.h"

namespace limbeck {

struct Command {
  std::string name;
  std::string summary;
  /// Adds the options and sets the callback that does the work. Options must outlive the call
  /// (shared_ptr captured by the callback).
  std::function<void(CommandLine&)> setup;
};

/// All registered subcommands, sorted by name.
std::vector<Command> all_commands();

struct RegisterCommand {
  explicit RegisterCommand(Command command);
};

/// Runs one subcommand in this process, as main() does: {"info", "--json"} of "data". Throws Error
/// for an unknown subcommand or a wrong command line, and whatever the subcommand throws.
void run_command(const std::string& name, const std::vector<std::string>& arguments);

/// Runs the subcommand that the command line names; `version` is what --version prints. Returns 0,
/// or 2 for a wrong command line, which it has reported; throws what the subcommand throws.
int run_program(int argc, char** argv, std::string (*version)());

/// Thrown by a subcommand to end the program with this exit code after it has reported everything
/// itself.
struct ExitStatus {
  int code;
};

}  // namespace limbeck
