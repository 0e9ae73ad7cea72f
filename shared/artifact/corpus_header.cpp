#include "shared/artifact/corpus.hpp"

namespace postern::testing {
namespace {

using Change = std::function<void(ArtifactSpec&)>;

const std::string kTypeInfo = "headers/0000/type-info";
const std::string kMetaData = "headers/0000/meta-data";
const std::string kScript = "ArtifactInstall_Enter_00";

/// header-info with one of its three members replaced.
Change info(std::string payloads, std::string provides = R"({"artifact_name":"a"})",
            std::string depends = R"({"device_type":["d"]})") {
  return [=](ArtifactSpec& spec) {
    spec.header_info = fmt::format(R"({{"payloads":{},"artifact_provides":{},"artifact_depends":{}}})",
                                   payloads, provides, depends);
  };
}

const std::string kPayloads = R"([{"type":"t"}])";

Change provides(const std::string& text) {
  return info(kPayloads, text);
}

Change depends(const std::string& text) {
  return info(kPayloads, R"({"artifact_name":"a"})", text);
}

Change raw_info(std::string text) {
  return [text = std::move(text)](ArtifactSpec& spec) { spec.header_info = text; };
}

Change type_info(std::string text) {
  return [text = std::move(text)](ArtifactSpec& spec) { spec.type_info = text; };
}

Change meta_data(std::string text) {
  return [text = std::move(text)](ArtifactSpec& spec) { spec.meta_data = text; };
}

Change edit_items(std::function<void(Items&)> edit) {
  return [edit = std::move(edit)](ArtifactSpec& spec) { spec.edits.header_items = edit; };
}

Change rename_item(std::string from, std::string to) {
  return edit_items([=](Items& items) { at(items, from)->name = to; });
}

Change add_item(std::string name) {
  return edit_items([=](Items& items) { items.push_back({.name = name, .content = "{}"}); });
}

Change script(std::string name) {
  return [=](ArtifactSpec& spec) { spec.scripts = {{.name = name, .content = "#!/bin/sh\n", .mode = 0755}}; };
}

}  // namespace

Corpus header_info_corpus() {
  const std::string good =
      R"({"payloads":[{"type":"t"}],"artifact_provides":{"artifact_name":"a"},"artifact_depends":{"device_type":["d"]}})";
  const std::string payloads = "payloads is not an array of one payload";
  return {
      {"hi_extra_top", raw_info(R"({"extra":1,)" + good.substr(1)), "header-info: extra is not known"},
      {"hi_no_payloads",
       raw_info(R"({"artifact_provides":{"artifact_name":"a"},"artifact_depends":{"device_type":["d"]}})"),
       "header-info: payloads is missing"},
      {"hi_empty_payloads", info("[]"), payloads},
      {"hi_two_payloads", info(R"([{"type":"t"},{"type":"t"}])"), payloads},
      {"hi_payloads_obj", info(R"({"type":"t"})"), payloads},
      {"hi_payload_number", info("[1]"), "payloads[0] is not an object"},
      {"hi_payload_extra", info(R"([{"type":"t","extra":1}])"), "payloads[0]: extra is not known"},
      {"hi_payload_notype", info("[{}]"), "payloads[0]: type is missing"},
      {"hi_type_num", info(R"([{"type":1}])"), "payloads[0]: type is not a string"},
      {"hi_type_empty", info(R"([{"type":""}])"), "payloads[0]: type is empty"},
      {"hi_type_null_with_file", info(R"([{"type":null}])"), "an empty payload holds a file"},
      {"hi_type_null_nofile",
       [](ArtifactSpec& spec) {
         info(R"([{"type":null}])")(spec);
         spec.files.clear();
       },
       kValid},
      {"hi_no_name", provides("{}"), "artifact_name is missing"},
      {"hi_no_provides", raw_info(R"({"payloads":[{"type":"t"}],"artifact_depends":{"device_type":["d"]}})"),
       "artifact_provides is missing"},
      {"hi_null_name", provides(R"({"artifact_name":null})"), "artifact_name is not a string"},
      {"hi_name_empty", provides(R"({"artifact_name":""})"),
       "metadata invalid: header-info: artifact_name is empty"},
      {"hi_name_ws", provides(R"({"artifact_name":"a b"})"), kValid},
      {"hi_no_depends", raw_info(R"({"payloads":[{"type":"t"}],"artifact_provides":{"artifact_name":"a"}})"),
       "artifact_depends is missing"},
      {"hi_no_devtype", depends("{}"), "device_type is missing"},
      {"hi_empty_devtype", depends(R"({"device_type":[]})"), "metadata invalid: header-info: device_type"},
      {"hi_devtype_string", depends(R"({"device_type":"d"})"), "device_type is not an array of strings"},
      {"hi_prov_extra", provides(R"({"artifact_name":"a","extra":"1"})"),
       "artifact_provides: extra is not known"},
      {"hi_group_number", provides(R"({"artifact_name":"a","artifact_group":1})"),
       "artifact_group is not a string"},
      {"hi_dep_extra", depends(R"({"device_type":["d"],"extra":["1"]})"), kValid},
      {"hi_case",
       raw_info(
           R"({"Payloads":[{"TYPE":"t"}],"Artifact_Provides":{"ARTIFACT_name":"a"},"artifact_DEPENDS":{"Device_Type":["d"]}})"),
       kValid},
      {"hi_dupkey", provides(R"({"artifact_name":"b","artifact_name":"a"})"), "artifact_name appears twice"},
      {"hi_dupkey_case", provides(R"({"Artifact_Name":"b","artifact_name":"a"})"),
       "artifact_name appears twice"},
      {"hi_trailing", raw_info(good + "xyz"), "header-info: not valid JSON"},
      {"hi_notjson", raw_info(good.substr(0, 20)), "header-info: not valid JSON"},
      {"hi_array", raw_info("[]"), "header-info: not a JSON object"},
      {"hi_bom", raw_info("\xef\xbb\xbf" + good), "header-info: not valid JSON"},
      {"hi_ws_prefix", raw_info(" \n" + good + "\t\n"), kValid},
      {"group_empty", provides(R"({"artifact_name":"a","artifact_group":""})"), kValid},
  };
}

Corpus type_info_corpus() {
  return {
      {"ti_type_mismatch", type_info(R"({"type":"u"})"), "type-info: type differs"},
      {"ti_type_empty", type_info(R"({"type":""})"), kValid},
      {"ti_type_missing", type_info("{}"), "type-info: type is missing"},
      {"ti_type_null", type_info(R"({"type":null})"), kValid},
      {"ti_type_number", type_info(R"({"type":1})"), "type-info: type is not a string"},
      {"ti_not_object", type_info("[]"), "type-info: not a JSON object"},
      {"ti_extra", type_info(R"({"type":"t","extra":1})"), kValid},
      {"ti_prov_num", type_info(R"({"type":"t","artifact_provides":{"x":1}})"),
       "artifact_provides: x is not a string"},
      {"ti_prov_null", type_info(R"({"type":"t","artifact_provides":null})"), kValid},
      {"ti_prov_empty", type_info(R"({"type":"t","artifact_provides":{}})"), kValid},
      {"ti_dep_str", type_info(R"({"type":"t","artifact_depends":{"k":"y"}})"), kValid},
      {"ti_dep_list", type_info(R"({"type":"t","artifact_depends":{"k":["y","z"]}})"), kValid},
      {"ti_dep_num", type_info(R"({"type":"t","artifact_depends":{"k":1}})"),
       "artifact_depends: k is neither a string nor an array of strings"},
      {"ti_dep_null", type_info(R"({"type":"t","artifact_depends":null})"), kValid},
      {"ti_clears_str", type_info(R"({"type":"t","clears_artifact_provides":"x"})"),
       "clears_artifact_provides is not an array of strings"},
      {"ti_clears_null", type_info(R"({"type":"t","clears_artifact_provides":null})"), kValid},
      {"ti_clears_empty", type_info(R"({"type":"t","clears_artifact_provides":[]})"), kValid},
      {"ti_conflict_prov", type_info(R"({"type":"t","artifact_provides":{"artifact_name":"b"}})"),
       "artifact_name is also in header-info"},
      {"ti_conflict_dep", type_info(R"({"type":"t","artifact_depends":{"device_type":"d"}})"),
       "device_type is also in header-info"},
  };
}

Corpus meta_data_corpus() {
  const std::string no_json = "meta-data: not valid JSON";
  const std::string no_object = "meta-data: not a JSON object";
  return {
      {"md_empty", meta_data(""), kValid},
      {"md_ws", meta_data(" "), no_json},
      {"md_brace", meta_data("{}"), kValid},
      {"md_obj", meta_data(R"({"a":1,"b":"c"})"), kValid},
      {"md_nested", meta_data(R"({"a":{"b":[{"c":1},{"d":2}]}})"), kValid},
      {"md_listobj", meta_data(R"({"a":[{"b":1}]})"), kValid},
      {"md_arr", meta_data("[1]"), no_object},
      {"md_str", meta_data(R"("a")"), no_object},
      {"md_null", meta_data("null"), no_object},
      {"md_bad", meta_data(R"({"a":)"), no_json},
      {"md_bignum", meta_data(R"({"a":[1e400]})"), "meta-data: holds a number out of range"},
      {"md_bignum2", meta_data(R"({"a":9007199254740993})"), kValid},
      {"md_dup", meta_data(R"({"a":1,"a":2})"), kValid},
      {"md_badutf8", meta_data("{\"a\":\"\xff\"}"), no_json},
      {"md_deep", meta_data("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"), no_json},
  };
}

Corpus header_tar_corpus() {
  return {
      {"hdr_no_typeinfo", edit_items([](Items& items) { items.resize(1); }),
       "headers/0000/type-info is missing"},
      {"hdr_no_info", edit_items([](Items& items) { items.erase(items.begin()); }),
       "unexpected member headers/0000/type-info"},
      {"hdr_empty", edit_items([](Items& items) { items.clear(); }), "header-info is missing"},
      {"hdr_ti_first", edit_items([](Items& items) { move_before(items, kTypeInfo, "header-info"); }),
       "unexpected member headers/0000/type-info"},
      {"hdr_md_before_ti",
       [](ArtifactSpec& spec) {
         spec.meta_data = "{}";
         spec.edits.header_items = [](Items& items) { move_before(items, kMetaData, kTypeInfo); };
       },
       "unexpected member headers/0000/meta-data"},
      {"hdr_unknown_file", add_item("headers/0000/foo"), "unexpected member headers/0000/foo"},
      {"hdr_unknown_top", add_item("foo"), "unexpected member foo"},
      {"hdr_two_buckets", add_item("headers/0001/type-info"), "unexpected member headers/0001/type-info"},
      {"hdr_bucket1", rename_item(kTypeInfo, "headers/0001/type-info"),
       "unexpected member headers/0001/type-info"},
      {"hdr_bucket_3digit", rename_item(kTypeInfo, "headers/000/type-info"),
       "unexpected member headers/000/type-info"},
      {"hdr_files", add_item("headers/0000/files"), "unexpected member headers/0000/files"},
      {"hdr_dup_ti", edit_items([](Items& items) { repeat(items, kTypeInfo); }),
       "unexpected member headers/0000/type-info"},
      {"hdr_dir", edit_items([](Items& items) {
         items.insert(at(items, kTypeInfo), {.name = "headers/", .content = "", .type = '5'});
       }),
       "headers/ is not a regular file"},
      {"header_prefix_name", rename_item("header-info", "header-infoX"), "unexpected member header-infoX"},
      {"headers_deep", rename_item(kTypeInfo, "headers/0000/sub/type-info"),
       "unexpected member headers/0000/sub/type-info"},
      {"hdr_trail_garbage",
       [](ArtifactSpec& spec) { spec.edits.header_tar = [](std::string& tar) { tar += garbage(7); }; },
       "header.tar.gz: bytes follow the end of the archive"},
      {"hdr_trail_garbage_big",
       [](ArtifactSpec& spec) { spec.edits.header_tar = [](std::string& tar) { tar += garbage(200'000); }; },
       "header.tar.gz: bytes follow the end of the archive"},
      {"hdr_gz_badcrc",
       [](ArtifactSpec& spec) {
         spec.edits.header_member = [](std::string& member) {
           member.replace(member.size() - 8, 4, 4, '\0');
         };
       },
       "invalid checksum of the compressed data of header.tar.gz"},
  };
}

Corpus script_corpus() {
  const std::string bad_name = "is no name of a state script";
  return {
      {"script_ok", script(kScript), kValid},
      {"script_suffix", script(kScript + "_a.b-c"), kValid},
      {"script_badname", script("Foo"), bad_name},
      {"script_badstate", script("Download_Enter_00"), bad_name},
      {"script_idle", script("Idle_Enter_00"), bad_name},
      {"script_3digits", script(kScript + "0"), bad_name},
      {"script_dotdot", script("../" + kScript), bad_name},
      {"script_subdir", script("sub/" + kScript), bad_name},
      {"script_after_ti", add_item("scripts/" + kScript), "unexpected member scripts/"},
      {"script_dup",
       [](ArtifactSpec& spec) {
         spec.scripts = {{.name = kScript, .content = "1"}, {.name = kScript, .content = "2"}};
       },
       "is there twice"},
  };
}

}  // namespace postern::testing
