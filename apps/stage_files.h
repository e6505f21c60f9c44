// What a finished stage left, by checksums in its done.json ("files"): a flipped bit is named with
// the stage to run again. Stages that an earlier version finished have none and pass.
#pragma once
#include <map>
#include <string>
#include <vector>

namespace limbeck {

/// Of every file in a stage's folder, by its name there, but for what differs between equal runs
/// (times.json, event files) and what says how the stage ended (done.json, failed.json);
/// `with_state`: checkpoint.safetensors too.
std::map<std::string, std::string> checksums_of(const std::string& stage_directory,
                                                bool with_state);

/// What is wrong with a finished stage's files, a line each; empty when nothing is.
std::vector<std::string> damage_in(const std::string& stage_directory);

/// Throws Error naming the first file of a stage that has changed or is missing, and what to do.
/// Looks once in a process.
void expect_undamaged(const std::string& stage_directory);
/// The same for the files that reports read: numbers, curves and pictures.
void expect_readable(const std::string& stage_directory);
/// The same for one file, if it lies in the folder of a finished stage. Returns the path.
const std::string& expect_undamaged_file(const std::string& path);

}  // namespace limbeck
