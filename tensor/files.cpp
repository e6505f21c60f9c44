// Atomic whole-file writes and whole-file reads.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tensor/safetensors.h"

namespace limbeck {
namespace {

/// The open descriptor that a path names (/dev/stdout, /dev/fd/3), whatever that is; -1: none.
/// A rename would replace the name for every program of the machine, and a second opening would
/// write over what comes through the first.
int descriptor_of(std::filesystem::path path) {
  const std::string folder_of_all = cat("/proc/", ::getpid(), "/fd");
  std::error_code error;
  for (int links = 0; links < 8; ++links) {
    const std::filesystem::path folder =
        std::filesystem::canonical(path.has_parent_path() ? path.parent_path() : ".", error);
    if (error) return -1;
    const std::string name = path.filename();
    if (folder == folder_of_all)
      return name.find_first_not_of("0123456789") == name.npos ? std::atoi(name.c_str()) : -1;
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    if (error) return -1;
    path = folder / target;
  }
  return -1;
}

/// Into a device or a pipe, which a rename would replace by a file.
void write_through(const std::string& path, const char* data, size_t bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) fail(path, ": cannot open: ", std::strerror(errno));
  const bool written = write_all(fd, data, bytes);
  const int reason = errno;
  ::close(fd);
  if (!written) fail(path, ": cannot write: ", std::strerror(reason));
}

/// Closes and removes the temporary file unless commit() was reached, so a failed write leaves
/// nothing behind.
class TemporaryFile {
 public:
  /// A name of its own (two writers of one target do not meet), and never what is there already,
  /// such as a link to another file.
  explicit TemporaryFile(const std::string& target) : target_(target) {
    for (int attempt = 0; attempt < 1000; ++attempt) {
      path_ = cat(target, ".", ::getpid(), "-", attempt, ".tmp");
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      if (fd_ >= 0) return;
      if (errno != EEXIST) break;
    }
    stop("cannot create");
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_), ::unlink(path_.c_str());
  }
  void write(const char* data, size_t bytes) {
    if (!write_all(fd_, data, bytes)) stop("cannot write");
  }
  void commit() {
    if (::fsync(fd_) != 0 && errno != EINVAL) stop("cannot sync");
    if (::rename(path_.c_str(), target_.c_str()) != 0) stop("cannot rename into place");
    ::close(fd_);
    fd_ = -1;
    sync_folder();
  }

 private:
  [[noreturn]] void stop(const char* what) {
    fail(target_, ": ", what, ": ", std::strerror(errno));
  }
  void sync_folder() const {
    const auto folder = std::filesystem::path(target_).parent_path();
    const int fd =
        ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) ::fsync(fd), ::close(fd);
  }

  std::string target_, path_;
  int fd_ = -1;
};

/// A file to read. A device may have no end; a terminal and a pipe have one.
class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) fail(path, ": cannot open: ", std::strerror(errno));
    if (::fstat(fd_, &info_) != 0) return;
    const bool device = S_ISBLK(info_.st_mode) || (S_ISCHR(info_.st_mode) && !::isatty(fd_));
    if (!device && !S_ISDIR(info_.st_mode)) return;
    ::close(fd_);
    fail(path, device ? ": is a device" : ": is a folder", "; expected a file");
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  int descriptor() const { return fd_; }
  size_t size() const { return static_cast<size_t>(info_.st_size); }

 private:
  int fd_;
  struct stat info_ {};
};

}  // namespace

bool write_all(int fd, const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::write(fd, data, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return false;
    data += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

void write_file_atomically(const std::string& path, const void* data, size_t bytes) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) fail(path, ": is a folder; expected a file");
    return write_through(path, static_cast<const char*>(data), bytes);
  }
  if (const int fd = descriptor_of(path); fd >= 0) {
    if (!write_all(fd, static_cast<const char*>(data), bytes))
      fail(path, ": cannot write: ", std::strerror(errno));
    return;
  }
  TemporaryFile file(path);
  file.write(static_cast<const char*>(data), bytes);
  file.commit();
}

void write_file_atomically(const std::string& path, const std::string& text) {
  write_file_atomically(path, text.data(), text.size());
}

std::string read_file(const std::string& path) {
  const OpenFile file(path);
  std::string text;
  char buffer[1 << 16];
  ssize_t n = 0;
  try {
    text.reserve(file.size());
    while ((n = ::read(file.descriptor(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
      if (n > 0) text.append(buffer, static_cast<size_t>(n));
  } catch (const std::exception&) {  // bad_alloc, or length_error for a size like 2^63
    fail(path, ": out of memory: its size is ", file.size(), " bytes");
  }
  if (n < 0) fail(path, ": cannot read: ", std::strerror(errno));
  return text;
}

}  // namespace limbeck
