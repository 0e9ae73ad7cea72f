#include "shared/artifact/corpus.hpp"
#include "shared/base/check.hpp"

namespace postern::testing {
namespace {

using Change = std::function<void(ArtifactSpec&)>;

constexpr std::size_t kBlock = 512;

Change edit_outer(std::function<void(Items&)> edit) {
  return [edit = std::move(edit)](ArtifactSpec& spec) { spec.edits.outer_items = edit; };
}

Change edit_file(std::function<void(std::string&)> edit) {
  return [edit = std::move(edit)](ArtifactSpec& spec) { spec.edits.file = edit; };
}

Change edit_manifest(std::function<void(std::string&)> edit) {
  return [edit = std::move(edit)](ArtifactSpec& spec) { spec.edits.manifest = edit; };
}

Change erase_outer(std::string name) {
  return edit_outer([name = std::move(name)](Items& items) { items.erase(at(items, name)); });
}

Change repeat_outer(std::string name) {
  return edit_outer([name = std::move(name)](Items& items) { repeat(items, name); });
}

Change rename_data(std::string name) {
  return edit_outer([name = std::move(name)](Items& items) { at(items, "data/0000.tar.gz")->name = name; });
}

Change set_version(std::string text) {
  return [text = std::move(text)](ArtifactSpec& spec) { spec.version = text; };
}

Change set_signature(std::string text) {
  return [text = std::move(text)](ArtifactSpec& spec) { spec.signature = text; };
}

std::size_t line_at(const std::string& manifest, std::string_view name) {
  const std::size_t found = manifest.find(fmt::format("  {}\n", name));
  POSTERN_ASSERT(found != manifest.npos);
  return found - 64;
}

Change erase_line(std::string name) {
  return edit_manifest([name = std::move(name)](std::string& manifest) {
    manifest.erase(line_at(manifest, name), 64 + 2 + name.size() + 1);
  });
}

Change break_sum(std::string name) {
  return edit_manifest([name = std::move(name)](std::string& manifest) {
    char& digit = manifest[line_at(manifest, name)];
    digit = digit == '0' ? '1' : '0';
  });
}

Change add_line(std::string name) {
  return edit_manifest([name = std::move(name)](std::string& manifest) {
    manifest += fmt::format("{}  {}\n", std::string(64, '0'), name);
  });
}

void reverse_lines(std::string& manifest) {
  std::string reversed;
  while (!manifest.empty()) {
    const std::size_t end = manifest.rfind('\n', manifest.size() - 2);
    const std::size_t begin = end == manifest.npos ? 0 : end + 1;
    reversed += manifest.substr(begin);
    manifest.resize(begin);
  }
  manifest = reversed;
}

}  // namespace

Corpus container_corpus() {
  return {
      {"ok", [](ArtifactSpec&) {}, kValid},
      {"none", [](ArtifactSpec& spec) { spec.header_suffix = spec.data_suffix = ""; }, kValid},
      {"xz", [](ArtifactSpec& spec) { spec.header_suffix = spec.data_suffix = ".xz"; }, kValid},
      {"zstd", [](ArtifactSpec& spec) { spec.header_suffix = spec.data_suffix = ".zst"; }, kValid},
      {"outer_pax", edit_outer([](Items& items) {
         for (TarItem& item : items) item.pax["mtime"] = "1700000000.25";
       }),
       kValid},
      {"outer_pax_global", edit_outer([](Items& items) {
         items.insert(items.begin(), {.name = "global", .content = "17 comment=hello\n", .type = 'g'});
       }),
       kValid},
      {"outer_gz", edit_file([](std::string& file) { file = compress(Compression::gzip, file); }),
       "this is no tar archive"},
      {"outer_dir", edit_outer([](Items& items) {
         items.insert(at(items, "data/0000.tar.gz"), {.name = "data/", .content = "", .type = '5'});
       }),
       "data/ is not a regular file"},
      {"dot_slash", edit_outer([](Items& items) {
         for (TarItem& item : items) item.name.insert(0, "./");
       }),
       "found ./version where version is expected"},
      {"trail_zero", edit_file([](std::string& file) { file.append(4096, '\0'); }), kValid},
      {"trail_zero_big", edit_file([](std::string& file) { file.append(200'000, '\0'); }), kValid},
      {"trail_garbage", edit_file([](std::string& file) { file += garbage(7); }),
       "bytes follow the end of the archive"},
      {"trail_garbage_big", edit_file([](std::string& file) { file += garbage(140'000); }),
       "bytes follow the end of the archive"},
      {"no_eof_marker", edit_file([](std::string& file) { file.resize(file.size() - 2 * kBlock); }), kValid},
      {"one_zero_block", edit_file([](std::string& file) { file.resize(file.size() - kBlock); }), kValid},
      {"trunc_mid_data", edit_file([](std::string& file) { file.resize(file.size() - 2 * kBlock - 10); }),
       "inside an entry"},
      {"trunc_in_content", edit_file([](std::string& file) { file.resize(file.size() - 3 * kBlock + 10); }),
       "inside an entry"},
      {"trunc_in_header", edit_file([](std::string& file) { file.resize(file.size() - 3 * kBlock - 10); }),
       "inside an entry"},
      {"bad_tar_checksum", edit_file([](std::string& file) { file[2 * kBlock + 150] ^= 1; }),
       "wrong header checksum"},
      {"empty_tar", edit_file([](std::string& file) { file.assign(2 * kBlock, '\0'); }), "ends before"},
      {"empty_file", edit_file([](std::string& file) { file.clear(); }), "ends before"},
  };
}

Corpus version_corpus() {
  const std::string base = R"({"format":"mender","version":3})";
  return {
      {"ver_spaces", set_version("{ \"version\" : 3,\t\"format\": \"mender\" }\n"), kValid},
      {"ver_extra", set_version(R"({"format":"mender","version":3,"extra":1})"), "extra is not known"},
      {"ver_fmt", set_version(R"({"format":"Mender","version":3})"), "format is not mender"},
      {"ver_str", set_version(R"({"format":"mender","version":"3"})"), "version is not an integer"},
      {"ver_4", set_version(R"({"format":"mender","version":4})"), "unsupported version 4"},
      {"ver_1", set_version(R"({"format":"mender","version":1})"), "unsupported version 1"},
      {"ver_missing", set_version(R"({"format":"mender"})"), "version is missing"},
      {"ver_trailing", set_version(base + "xyz"), "not valid JSON"},
      {"ver_bad", set_version(R"({"format")"), "not valid JSON"},
      {"version_empty", set_version(""), "not valid JSON"},
      {"big_version", set_version(base + std::string(5000, ' ')), kValid},
      {"version_twice", repeat_outer("version"), "found version where manifest is expected"},
  };
}

Corpus order_corpus() {
  return {
      {"order_man_first", edit_outer([](Items& items) { move_before(items, "manifest", "version"); }),
       "found manifest where version is expected"},
      {"order_hdr_before_man",
       edit_outer([](Items& items) { move_before(items, "header.tar.gz", "manifest"); }),
       "found header.tar.gz where manifest is expected"},
      {"order_data_before_hdr",
       edit_outer([](Items& items) { move_before(items, "data/0000.tar.gz", "header.tar.gz"); }),
       "found data/0000.tar.gz where header.tar is expected"},
      {"no_manifest", erase_outer("manifest"), "where manifest is expected"},
      {"no_header", erase_outer("header.tar.gz"), "where header.tar is expected"},
      {"no_data", erase_outer("data/0000.tar.gz"), "ends before its payload"},
      {"nofile_nodata",
       [](ArtifactSpec& spec) {
         spec.files.clear();
         erase_outer("data/0000.tar.gz")(spec);
       },
       "ends before its payload"},
      {"nofile", [](ArtifactSpec& spec) { spec.files.clear(); }, kValid},
      {"only_version", edit_outer([](Items& items) { items.resize(1); }), "ends before its payload"},
      {"extra_entry_end",
       edit_outer([](Items& items) { items.push_back({.name = "foo", .content = "foo"}); }),
       "found foo where the end is expected"},
      {"extra_data2", edit_outer([](Items& items) {
         repeat(items, "data/0000.tar.gz");
         items.back().name = "data/0001.tar.gz";
       }),
       "found data/0001.tar.gz where the end is expected"},
      {"data_twice", repeat_outer("data/0000.tar.gz"), "where the end is expected"},
      {"manifest_twice", repeat_outer("manifest"), "found manifest where header.tar is expected"},
      {"header_twice", repeat_outer("header.tar.gz"), "where data/0000.tar is expected"},
      {"sig_before_manifest",
       [](ArtifactSpec& spec) {
         spec.signature = "AAAA";
         spec.edits.outer_items = [](Items& items) { move_before(items, "manifest.sig", "manifest"); };
       },
       "found manifest.sig where manifest is expected"},
      {"sig_twice",
       [](ArtifactSpec& spec) {
         spec.signature = "AAAA";
         spec.edits.outer_items = [](Items& items) { repeat(items, "manifest.sig"); };
       },
       "found manifest.sig where header.tar is expected"},
      {"augmented", edit_outer([](Items& items) {
         items.insert(at(items, "header.tar.gz"), {.name = "manifest-augment", .content = ""});
       }),
       "augmented artifacts are not supported"},
      {"data_idx1", rename_data("data/0001.tar.gz"), "found data/0001.tar.gz"},
      {"data_5digit", rename_data("data/00000.tar.gz"), "found data/00000.tar.gz"},
      {"suffix_bz2", [](ArtifactSpec& spec) { spec.header_suffix = spec.data_suffix = ".bz2"; },
       "the name is none that an artifact may hold"},
      {"suffix_bz2_data", rename_data("data/0000.tar.bz2"), "found data/0000.tar.bz2"},
      {"hdr_name_lzma",
       edit_outer([](Items& items) { at(items, "header.tar.gz")->name = "header.tar.lzma"; }),
       "found header.tar.lzma"},
      {"suffix_lie",
       [](ArtifactSpec& spec) {
         store_header(spec, [](const std::string& tar) { return tar; });
         store_data(spec, [](const std::string& tar) { return tar; });
       },
       "header.tar.gz: gzip"},
      {"data_notgz", [](ArtifactSpec& spec) { store_data(spec, [](const std::string& tar) { return tar; }); },
       "data/0000.tar.gz: gzip"},
      {"suffix_mismatch_data", [](ArtifactSpec& spec) { spec.data_suffix = ""; }, kValid},
      {"sig_garbage", set_signature("AAAA"), kValid},
      {"sig_empty", set_signature(""), kValid},
  };
}

Corpus manifest_corpus() {
  const std::string form = "line 1: is not 64 lower-case hexadecimal digits, two spaces and a name";
  const std::string other_name = "the name is none that an artifact may hold";
  return {
      {"man_missing_data", erase_line("data/0000/f"), "manifest: does not list data/0000/f"},
      {"man_missing_header", erase_line("header.tar.gz"), "manifest: does not list header.tar.gz"},
      {"man_missing_version", erase_line("version"), "manifest: does not list version"},
      {"man_extra", add_line("data/0000/zzz"), "lists data/0000/zzz, which is not in the artifact"},
      {"man_extra_top", add_line("zzz"), "line 4: " + other_name},
      {"man_bucket1", add_line("data/0001/zzz"), "line 4: " + other_name},
      {"man_dup_same", edit_manifest([](std::string& text) { text += text.substr(0, text.find('\n') + 1); }),
       "line 4: data/0000/f is listed twice"},
      {"man_bad_data_sum", break_sum("data/0000/f"), "invalid checksum of data/0000/f"},
      {"man_bad_hdr_sum", break_sum("header.tar.gz"), "invalid checksum of header.tar.gz"},
      {"man_bad_ver_sum", break_sum("version"), "invalid checksum of version"},
      {"man_upper", edit_manifest([](std::string& text) {
         for (char& c : std::span(text).first(64)) c = static_cast<char>(std::toupper(c));
       }),
       form},
      {"man_short_sum", edit_manifest([](std::string& text) { text.erase(0, 1); }), form},
      {"man_one_space", edit_manifest([](std::string& text) { replace(text, "  ", " "); }), form},
      {"man_tab", edit_manifest([](std::string& text) { replace(text, "  ", "\t\t"); }), form},
      {"man_three_space", edit_manifest([](std::string& text) { replace(text, "  ", "   "); }),
       "line 1: " + other_name},
      {"man_no_last_nl", edit_manifest([](std::string& text) { text.pop_back(); }),
       "line 3: does not end in a line feed"},
      {"man_blank_line", edit_manifest([](std::string& text) { text += '\n'; }), "line 4: is not 64"},
      {"man_crlf", edit_manifest([](std::string& text) { replace(text, "\n", "\r\n"); }),
       "line 1: " + other_name},
      {"man_empty", edit_manifest([](std::string& text) { text.clear(); }),
       "manifest: does not list version"},
      {"man_reordered", edit_manifest(reverse_lines), kValid},
      {"man_hdr_other_suffix",
       edit_manifest([](std::string& text) { replace(text, "header.tar.gz", "header.tar"); }),
       "does not list header.tar.gz"},
      {"man_hdr_none",
       [](ArtifactSpec& spec) {
         spec.header_suffix = "";
         spec.edits.manifest = [](std::string& text) { replace(text, "header.tar", "header.tar.gz"); };
       },
       "does not list header.tar"},
  };
}

}  // namespace postern::testing
