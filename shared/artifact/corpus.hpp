// The conformance corpus of artifact-format 15.2: one artifact per line of its tables, with the verdict that
// is asked of this reader.
#pragma once

#include "shared/testing/artifact_builder.hpp"

namespace postern::testing {

struct CorpusCase {
  std::string id;  ///< as in the tables
  std::function<void(ArtifactSpec&)> change;
  /// Nothing: a valid file. Else what the text of the error holds, so that it is refused for the right
  /// reason.
  std::optional<std::string> refusal;
};
using Corpus = std::vector<CorpusCase>;

Corpus container_corpus();
Corpus version_corpus();
Corpus order_corpus();
Corpus manifest_corpus();
Corpus header_info_corpus();
Corpus type_info_corpus();
Corpus meta_data_corpus();
Corpus header_tar_corpus();
Corpus script_corpus();
Corpus payload_corpus();
Corpus install_time_corpus();
Corpus empty_payload_corpus();

using Items = std::vector<TarItem>;

inline const std::optional<std::string> kValid;

/// The item called `name`, which has to be there.
Items::iterator at(Items& items, std::string_view name);
/// Puts a copy of the item called `name` behind it.
void repeat(Items& items, std::string_view name);
/// Moves the item called `name` in front of the one called `other`.
void move_before(Items& items, std::string_view name, std::string_view other);
/// Replaces the first `from`, which has to be there.
void replace(std::string& text, std::string_view from, std::string_view to);
/// `size` bytes, none of them zero, that do not repeat.
std::string garbage(std::size_t size);
/// Stores the header archive, or the payload archive, as the bytes that `pack` makes of it instead of
/// compressing it.
void store_header(ArtifactSpec& spec, std::function<std::string(const std::string& tar)> pack);
void store_data(ArtifactSpec& spec, std::function<std::string(const std::string& tar)> pack);

}  // namespace postern::testing
