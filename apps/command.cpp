#include "apps/command.h"

#include <algorithm>

namespace limbeck {

namespace {
std::vector<Command>& commands() {
  static std::vector<Command> list;
  return list;
}
}  // namespace

RegisterCommand::RegisterCommand(Command command) { commands().push_back(std::move(command)); }

std::vector<Command> all_commands() {
  std::vector<Command> list = commands();
  std::sort(list.begin(), list.end(),
            [](const Command& a, const Command& b) { return a.name < b.name; });
  return list;
}

}  // namespace limbeck
