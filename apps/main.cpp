// The `limbeck` program: collects the subcommands, reports every error in one line. Exit codes: 0 done, 1 error, 2 wrong command line.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>

#include "apps/command.h"
#include "tensor/error.h"

int main(int argc, char** argv) {
  CLI::App app("limbeck: distils a large network's knowledge into a small one through images of a conditional GAN", "limbeck");
  app.require_subcommand(1);
  for (const limbeck::Command& command : limbeck::all_commands()) command.setup(*app.add_subcommand(command.name, command.summary));
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const limbeck::ExitStatus& e) {
    return e.code;
  } catch (const limbeck::Error& e) {
    std::fprintf(stderr, "limbeck: error: %s\n", e.what());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "limbeck: error: out of memory\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "limbeck: error: unexpected: %s\n", e.what());
  }
  return 1;
}
