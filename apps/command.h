// Subcommands of `limbeck`. A subcommand is one file that registers itself:
//   static RegisterCommand command({"models", "list the networks", [](CLI::App& app) {
//     auto name = std::make_shared<std::string>();
//     app.add_option("--name", *name, "only this network");
//     app.callback([name] { ... });
//   }});
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace limbeck {

struct Command {
  std::string name;
  std::string summary;
  /// Adds the options and sets the callback that does the work. Options must outlive the call (shared_ptr captured by the callback).
  std::function<void(CLI::App&)> setup;
};

/// All registered subcommands, sorted by name.
std::vector<Command> all_commands();

struct RegisterCommand {
  explicit RegisterCommand(Command command);
};

/// Thrown by a subcommand to end the program with this exit code after it has reported everything itself.
struct ExitStatus {
  int code;
};

}  // namespace limbeck
