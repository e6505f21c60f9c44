// Data sources: where images come from. A source is one file that registers itself; nothing lists
// them (docs/data.md has a whole one).
//   struct BarsSettings { int64_t train = 500; void fields(FieldVisitor& v) { v("train", train,
//   "training images"); } };
//   const RegisterSource source({.name = "bars", .help = "...", .settings = BarsSettings{},
//                                .load = [](const AnySettings& own, const DataSettings& common) {
//                                return bars(own.as<BarsSettings>(), common); }});
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "tensor/fields.h"

namespace limbeck::data {

/// The section [data.NAME] of every registered source, with its defaults.
NamedSettings source_settings();

/// [data] of a configuration: what all sources share, and a section for each of them.
struct DataSettings {
  std::string kind = "shapes";  ///< name of the source
  std::string path;             ///< folder where a source reads its files, or its one file
  int64_t train_per_class =
      0;  ///< labelled images per class, drawn from the training part with data.seed; 0: all
  int64_t test_per_class = 0;  ///< 0: all
  int64_t image_size =
      32;  ///< side; smaller images are zero-padded (28 to 32), larger ones refused, unless:
  std::string resize;  ///< images of another size: stretch | crop | fit, as in data/resize.h
  int64_t seed = 0;    ///< of the draw, and of images that a source makes
  bool compact_labels = false;  ///< classes without training images are left out of the numbering
  int64_t max_pixels = int64_t{1} << 26;  ///< of an image file; no influence on what is read
  NamedSettings sources = source_settings();
  void fields(FieldVisitor& v);
  /// Canonical text of what has influence: the shared settings and those of the chosen source, as
  /// "data.key = value" lines, without the path (data/identity.h says what lies there). Throws when
  /// the source is unknown.
  std::string text() const;
};

struct DataSource {
  std::string name;  ///< as in data.kind
  std::string help;  ///< one line
  std::string files =
      /// what lies in data.path; empty: the source reads no files, and data.path means nothing to
      /// it
      {};
  bool one_file = false;      ///< data.path is a file, not a folder
  AnySettings settings = {};  ///< its own, with their defaults
  /// Refuses what load() would refuse, as far as that can be known without reading images; may be
  /// null. `data.path` is a folder, or a file, by then.
  std::function<void(const AnySettings& own, const DataSettings& common)> check = {};
  /// Both parts as the source has them: the draw, `resize` and the padding come after. A source
  /// that makes its images makes them image_size wide; one whose files have many sizes resizes.
  /// Errors name the file, the record (counted from 0), expected and found.
  std::function<Split(const AnySettings& own, const DataSettings& common)> load;
  /// The number of classes does not come from the labels: a class without images is no mistake.
  bool declares_classes = false;
  /// What looks like a mistake in the files but can be read, one line each; may be null. After
  /// check().
  std::function<std::vector<std::string>(const AnySettings& own, const DataSettings& common)>
      notes = {};
};

struct RegisterSource {
  /// Throws when the name is taken.
  explicit RegisterSource(DataSource source);
};
/// Sorted by name.
const std::vector<DataSource>& all_sources();
/// Throws "data.kind: ..." with the nearest name when unknown.
const DataSource& find_source(const std::string& name);

/// Throws naming the key when load() could not work: an unknown source, a path that is no readable
/// folder, a number out of range, a file that is missing. Reads no images, so that it can be asked
/// before any work.
void check(const DataSettings& settings);

/// Both parts as the source has them, resized if the settings say so, neither drawn nor padded,
/// after check(). Throws for a class without training images, unless the source declares the
/// classes or compact_labels leaves it out.
Split load_whole(const DataSettings& settings);

/// Loads, draws and pads as the settings say, after check().
Split load(const DataSettings& settings);

}  // namespace limbeck::data
