#include "shared/artifact/tar_reader.hpp"

#include <charconv>

namespace postern {
namespace {

constexpr std::uint64_t kSizeMax = std::numeric_limits<std::int64_t>::max() / 2;

bool is_zeros(Bytes bytes) {
  // A range equals itself shifted by one exactly when all its bytes are alike: memcmp() at full speed.
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

/// Two's complement, big-endian; bit 7 of the first byte says that it is this form, bit 6 is the sign.
std::optional<std::int64_t> parse_base256(std::string_view field) {
  const auto first = static_cast<unsigned char>(field[0]);
  const bool is_negative = (first & 0x40) != 0;
  std::int64_t value = is_negative ? -1 : 0;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const auto byte = i > 0 ? static_cast<unsigned char>(field[i])
                            : static_cast<unsigned char>(is_negative ? first | 0x80 : first & 0x7f);
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() >> 8;
    constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min() >> 8;
    if (value > kMax || value < kMin) return std::nullopt;
    value = value << 8 | byte;
  }
  return value;
}

/// A number of a header block: octal digits in spaces and NULs, nothing at all for 0, or base-256.
std::optional<std::int64_t> parse_number(std::string_view field) {
  if ((static_cast<unsigned char>(field[0]) & 0x80) != 0) return parse_base256(field);
  std::size_t i = 0;
  while (i < field.size() && field[i] == ' ') ++i;
  std::int64_t value = 0;
  for (; i < field.size() && field[i] >= '0' && field[i] <= '7'; ++i) value = value * 8 + (field[i] - '0');
  for (; i < field.size(); ++i) {
    if (field[i] != ' ' && field[i] != '\0') return std::nullopt;
  }
  return value;
}

/// The text of a header field, which ends at a NUL or fills the field.
std::string_view text_of(std::string_view field) {
  return field.substr(0, field.find('\0'));
}

bool is_checksum_right(std::string_view block) {
  constexpr std::size_t kAt = 148;
  constexpr std::size_t kSize = 8;
  std::int64_t as_unsigned = 0;
  std::int64_t as_signed = 0;  // what some old writers sum up
  for (std::size_t i = 0; i < block.size(); ++i) {
    const char c = i >= kAt && i < kAt + kSize ? ' ' : block[i];
    as_unsigned += static_cast<unsigned char>(c);
    as_signed += static_cast<signed char>(c);
  }
  const auto stored = parse_number(block.substr(kAt, kSize));
  return stored && (*stored == as_unsigned || *stored == as_signed);
}

TarType type_of(char flag, std::string_view name) {
  if (flag == '5') return TarType::directory;
  if (flag != '0' && flag != '\0') return TarType::other;
  return name.ends_with('/') ? TarType::directory : TarType::file;  // a slash is how old writers mark one
}

template <class T>
std::optional<T> parse_decimal(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

TarReader::TarReader(std::string label, TarSink& sink) : label_(std::move(label)), sink_(&sink) {}

Error TarReader::wrong(std::string_view what) const {
  return invalid(fmt::format("{}: entry at byte {}: {}", label_, entry_offset_, what));
}

Status TarReader::feed(Bytes bytes) {
  while (!bytes.empty()) {
    POSTERN_TRY(const std::size_t taken, take(bytes));
    offset_ += taken;
    bytes = bytes.subspan(taken);
  }
  return {};
}

Status TarReader::finish() {
  if (state_ == State::end) return {};
  if (state_ != State::header || header_size_ != 0) {
    return invalid(fmt::format("{}: ends at byte {} inside an entry", label_, offset_));
  }
  if (is_extended_) return wrong("extended header without an entry");
  return {};
}

Result<std::size_t> TarReader::take(Bytes bytes) {
  switch (state_) {
    case State::header:
      return take_header(bytes);
    case State::content:
      return take_content(bytes);
    case State::padding: {
      const std::size_t count = std::min(bytes.size(), padding_left_);
      padding_left_ -= count;
      if (padding_left_ == 0) state_ = State::header;
      return count;
    }
    case State::end:
      return take_end(bytes);
  }
  return bug("tar reader in no state");
}

Result<std::size_t> TarReader::take_header(Bytes bytes) {
  if (header_size_ == 0) entry_offset_ = offset_;
  const std::size_t count = std::min(bytes.size(), kBlockBytes - header_size_);
  std::memcpy(header_.data() + header_size_, bytes.data(), count);
  header_size_ += count;
  if (header_size_ == kBlockBytes) {
    header_size_ = 0;
    POSTERN_CHECK(on_header());
  }
  return count;
}

Result<std::size_t> TarReader::take_content(Bytes bytes) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), content_left_));
  const Bytes piece = bytes.first(count);
  if (content_ == Content::entry) {
    POSTERN_CHECK(sink_->on_data(piece));
  } else {
    extended_.append(as_text(piece));
  }
  content_left_ -= count;
  if (content_left_ == 0) POSTERN_CHECK(end_content());
  return count;
}

Result<std::size_t> TarReader::take_end(Bytes bytes) {
  if (!is_zeros(bytes)) return invalid(fmt::format("{}: bytes follow the end of the archive", label_));
  return bytes.size();
}

Status TarReader::on_header() {
  const std::string_view block(header_.data(), header_.size());
  if (is_zeros(as_bytes(block))) {
    if (is_extended_) return wrong("extended header without an entry");
    state_ = State::end;
    return {};
  }
  if (!is_checksum_right(block))
    return wrong("wrong header checksum; this is no tar archive or it is damaged");
  const auto mode = parse_number(block.substr(100, 8));
  const auto size = parse_number(block.substr(124, 12));
  const auto mtime = parse_number(block.substr(136, 12));
  if (!mode || !size || !mtime || *size < 0) return wrong("a number in the header cannot be read");
  const auto size_bytes = static_cast<std::uint64_t>(*size);
  switch (block[156]) {
    case 'x':
      return begin_extended(Content::pax, size_bytes);
    case 'g':
      return begin_extended(Content::pax_global, size_bytes);
    case 'L':
      return begin_extended(Content::long_name, size_bytes);
    case 'K':
      return begin_extended(Content::long_link, size_bytes);
    default:
      break;
  }
  std::string name(text_of(block.substr(0, 100)));
  const std::string_view prefix = text_of(block.substr(345, 155));
  // Only POSIX headers have the prefix; GNU puts other things there.
  if (block.substr(257, 6) == std::string_view("ustar\0", 6) && !prefix.empty()) {
    name = fmt::format("{}/{}", prefix, name);
  }
  if (overrides_.path) {
    name = *std::move(overrides_.path);
  } else if (overrides_.long_name) {
    name = *std::move(overrides_.long_name);
  }
  if (name.empty()) return wrong("empty name");
  const TarType type = type_of(block[156], name);
  return begin_entry({.name = std::move(name),
                      .type = type,
                      .size = overrides_.size.value_or(size_bytes),
                      .mode = static_cast<std::uint32_t>(*mode & 07777),
                      .mtime = overrides_.mtime.value_or(*mtime)});
}

Status TarReader::begin_extended(Content content, std::uint64_t size) {
  if (size > kExtendedBytesMax) return wrong("extended header is too long");
  content_ = content;
  content_left_ = size;
  extended_.clear();
  is_extended_ = is_extended_ || content != Content::pax_global;
  state_ = State::content;
  return size == 0 ? end_content() : Status();
}

Status TarReader::begin_entry(TarEntry entry) {
  if (entry.size > kSizeMax) return wrong("size is out of range");
  content_ = Content::entry;
  content_left_ = entry.size;
  is_extended_ = false;
  overrides_ = {};
  state_ = State::content;
  padding_left_ = static_cast<std::size_t>(-entry.size % kBlockBytes);
  POSTERN_CHECK(sink_->on_entry(std::move(entry)));
  return content_left_ == 0 ? end_content() : Status();
}

Status TarReader::end_content() {
  switch (content_) {
    case Content::entry:
      POSTERN_CHECK(sink_->on_entry_end());
      break;
    case Content::pax:
    case Content::pax_global:
      POSTERN_CHECK(apply_pax(extended_, content_ == Content::pax_global));
      break;
    case Content::long_name:
      overrides_.long_name = std::string(text_of(extended_));
      break;
    case Content::long_link:
      break;  // nobody here follows links
  }
  if (content_ != Content::entry) padding_left_ = -extended_.size() % kBlockBytes;
  state_ = padding_left_ == 0 ? State::header : State::padding;
  return {};
}

Status TarReader::apply_pax(std::string_view records, bool is_global) {
  // Each record is "<its own length in decimal> <key>=<value>\n".
  while (!records.empty()) {
    const std::size_t space = records.find(' ');
    const auto size = parse_decimal<std::uint32_t>(records.substr(0, space));
    if (space == records.npos || !size || *size > records.size() || *size < space + 4 ||
        records[*size - 1] != '\n') {
      return wrong("malformed PAX record");
    }
    const std::string_view record = records.substr(space + 1, *size - space - 2);
    const std::size_t equals = record.find('=');
    if (equals == record.npos || equals == 0) return wrong("malformed PAX record");
    POSTERN_CHECK(apply_pax_record(record.substr(0, equals), record.substr(equals + 1), is_global));
    records.remove_prefix(*size);
  }
  return {};
}

Status TarReader::apply_pax_record(std::string_view key, std::string_view value, bool is_global) {
  if (key.starts_with("GNU.sparse.")) return wrong("sparse files are not taken");
  if (is_global && (key == "path" || key == "size")) return wrong("global PAX header with a name or a size");
  if (is_global) return {};
  if (key == "path") {
    if (value.contains('\0')) return wrong("NUL in a name");
    overrides_.path = std::string(value);
  } else if (key == "size") {
    overrides_.size = parse_decimal<std::uint64_t>(value);
    if (!overrides_.size) return wrong("malformed PAX size");
  } else if (key == "mtime") {
    // The fraction of a second is dropped.
    overrides_.mtime = parse_decimal<std::int64_t>(value.substr(0, value.find('.')));
    if (!overrides_.mtime) return wrong("malformed PAX mtime");
  }
  return {};
}

}  // namespace postern
