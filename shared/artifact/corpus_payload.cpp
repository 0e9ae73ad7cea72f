#include "shared/artifact/corpus.hpp"

namespace postern::testing {
namespace {

using Change = std::function<void(ArtifactSpec&)>;

Change edit_items(std::function<void(Items&)> edit) {
  return [edit = std::move(edit)](ArtifactSpec& spec) { spec.edits.data_items = edit; };
}

/// The archive says `name` where the manifest says `f`.
Change rename_item(std::string name) {
  return edit_items([name = std::move(name)](Items& items) { items[0].name = name; });
}

Change retype_item(char type) {
  return edit_items([type](Items& items) {
    items[0].type = type;
    items[0].content.clear();
  });
}

/// Archive and manifest agree on the names.
Change files(std::vector<std::string> names) {
  return [names = std::move(names)](ArtifactSpec& spec) {
    spec.files.clear();
    for (const auto& name : names) spec.files.push_back({.name = name, .content = "content of " + name});
  };
}

Change edit_tar(std::function<void(std::string&)> edit) {
  return [edit = std::move(edit)](ArtifactSpec& spec) { spec.edits.data_tar = edit; };
}

Change edit_member(std::function<void(std::string&)> edit) {
  return [edit = std::move(edit)](ArtifactSpec& spec) { spec.edits.data_member = edit; };
}

Change payload_type(std::string type) {
  return [type = std::move(type)](ArtifactSpec& spec) { spec.payload_type = type; };
}

Change depends(std::string text) {
  return [text = std::move(text)](ArtifactSpec& spec) {
    spec.header_info =
        R"({"payloads":[{"type":"t"}],"artifact_provides":{"artifact_name":"a"},"artifact_depends":)" + text +
        "}";
  };
}

Change empty_payload(Change change) {
  return [change = std::move(change)](ArtifactSpec& spec) {
    spec.payload_type.reset();
    spec.files.clear();
    change(spec);
  };
}

std::string in_two_members(const std::string& tar) {
  return compress(Compression::gzip, tar.substr(0, 700)) + compress(Compression::gzip, tar.substr(700));
}

}  // namespace

Corpus payload_corpus() {
  const std::string bad_name = "is no name for a file";
  const std::string bad_type = "payload: f is not a regular file";
  return {
      {"data_extra_file", edit_items([](Items& items) { items.push_back({.name = "g", .content = "g"}); }),
       "does not list data/0000/g"},
      {"data_missing_file", edit_items([](Items& items) { items.clear(); }),
       "lists data/0000/f, which is not in the artifact"},
      {"data_wrong_content", edit_items([](Items& items) { items[0].content = "jello"; }),
       "invalid checksum of data/0000/f"},
      {"data_truncated", edit_member([](std::string& member) { member.resize(40); }),
       "data/0000.tar.gz: compressed data is cut short"},
      {"data_subdir", rename_item("sub/f"), bad_name},
      {"data_dotdot", rename_item("../f"), bad_name},
      {"data_badname", files({"f+g"}), "the name is none that an artifact may hold"},
      {"data_absolute", rename_item("/f"), bad_name},
      {"data_dotslash", rename_item("./f"), bad_name},
      {"data_dir",
       edit_items([](Items& items) { items.push_back({.name = "d", .content = "", .type = '5'}); }),
       "payload: d is not a regular file"},
      {"data_symlink", retype_item('2'), bad_type},
      {"data_hardlink", retype_item('1'), bad_type},
      {"data_fifo", retype_item('6'), bad_type},
      {"data_dup", edit_items([](Items& items) { repeat(items, "f"); }),
       "data/0000/f is in the artifact twice"},
      {"data_order",
       [](ArtifactSpec& spec) {
         files({"f", "g", "h"})(spec);
         spec.edits.data_items = [](Items& items) { std::ranges::reverse(items); };
       },
       kValid},
      {"data_trail_garbage", edit_tar([](std::string& tar) { tar += garbage(7); }),
       "data/0000.tar.gz: bytes follow the end"},
      {"data_trail_garbage_big", edit_tar([](std::string& tar) { tar += garbage(200'000); }),
       "data/0000.tar.gz: bytes follow the end"},
      {"data_tar_truncated", edit_tar([](std::string& tar) { tar.resize(512 + 3); }),
       "data/0000.tar.gz: ends at byte 515 inside an entry"},
      {"data_gz_trailing", edit_member([](std::string& member) { member += garbage(7); }),
       "data/0000.tar.gz: gzip"},
      {"data_two_gz_members", [](ArtifactSpec& spec) { store_data(spec, in_two_members); }, kValid},
      {"data_gz_badcrc",
       edit_member([](std::string& member) { member.replace(member.size() - 8, 4, 4, '\0'); }),
       "invalid checksum of the compressed data of data/0000.tar.gz"},
      {"file_header_tar", files({"header.tar.gz"}), kValid},
      {"filename_gz_alias", files({"f.gz", "f"}), kValid},
      {"fname_95", files({std::string(86, 'n')}), kValid},
      {"fname_101", files({std::string(91, 'n')}), kValid},
      {"fname_255", files({std::string(255, 'n')}), kValid},
      {"fname_256", files({std::string(256, 'n')}), "the name is none that an artifact may hold"},
      {"fname_ws", files({"f g"}), "the name is none that an artifact may hold"},
      {"fname_utf8", files({"\xc3\xa4"}), "the name is none that an artifact may hold"},
      {"fname_dot", files({"."}), "the name is none that an artifact may hold"},
      {"fname_dotdot", files({".."}), "the name is none that an artifact may hold"},
  };
}

/// Valid files, which some devices must not install.
Corpus install_time_corpus() {
  return {
      {"type_path", payload_type("../t"), kValid},
      {"type_slash", payload_type("a/b"), kValid},
      {"type_dot", payload_type("."), kValid},
      {"type_missing_module", payload_type("nosuch"), kValid},
      {"dev_mismatch", [](ArtifactSpec& spec) { spec.device_types = {"other"}; }, kValid},
      {"dep_name_mismatch", depends(R"({"device_type":["d"],"artifact_name":["b"]})"), kValid},
      {"dep_group", depends(R"({"device_type":["d"],"artifact_group":["g"]})"), kValid},
      {"dep_name_empty", depends(R"({"device_type":["d"],"artifact_name":[]})"), kValid},
  };
}

Corpus empty_payload_corpus() {
  const std::string meta_data = "meta-data: not allowed with an empty payload";
  const auto type_info = [](std::string text) {
    return empty_payload([text = std::move(text)](ArtifactSpec& spec) { spec.type_info = text; });
  };
  return {
      {"empty_ti_null", empty_payload([](ArtifactSpec&) {}), kValid},
      {"empty_ti_empty", type_info(R"({"type":""})"), kValid},
      {"empty_ti_other", type_info(R"({"type":"other"})"), kValid},
      {"empty_no_data", empty_payload([](ArtifactSpec& spec) {
         spec.edits.outer_items = [](Items& items) { items.erase(at(items, "data/0000.tar.gz")); };
       }),
       "ends before its payload"},
      {"empty_md", empty_payload([](ArtifactSpec& spec) { spec.meta_data = "{}"; }), meta_data},
      {"empty_md_empty", empty_payload([](ArtifactSpec& spec) { spec.meta_data = ""; }), meta_data},
      {"empty_no_ti", empty_payload([](ArtifactSpec& spec) {
         spec.edits.header_items = [](Items& items) { items.resize(1); };
       }),
       "headers/0000/type-info is missing"},
      {"empty_scripts", empty_payload([](ArtifactSpec& spec) {
         spec.scripts = {{.name = "ArtifactInstall_Enter_00", .content = "#!/bin/sh\n"}};
       }),
       kValid},
      {"empty_depends", empty_payload([](ArtifactSpec& spec) { spec.depends = {{"lacking", "1"}}; }), kValid},
      {"empty_other_device", empty_payload([](ArtifactSpec& spec) { spec.device_types = {"other"}; }),
       kValid},
      {"empty_with_file",
       empty_payload([](ArtifactSpec& spec) { spec.files = {{.name = "f", .content = "hello"}}; }),
       "an empty payload holds a file"},
  };
}

}  // namespace postern::testing
