#include "gateway/traffic/admission.hpp"

#include "shared/crypto/digest.hpp"

namespace postern::gateway {
namespace {

/// Devices that are remembered, for each download that may be under way.
constexpr std::size_t kToldPerDownload = 4;
constexpr std::size_t kNameBytes = 16;

/// Device and deployment in few bytes, whatever a device calls itself.
std::string name_of(std::string_view device, std::string_view deployment) {
  Sha256 hash;
  hash.update(as_bytes(std::to_string(deployment.size())));
  hash.update(as_bytes(deployment));
  hash.update(as_bytes(device));
  const Digest digest = hash.finish();
  return std::string(as_text(Bytes(digest).first(kNameBytes)));
}

}  // namespace

void Admission::forget(SteadyTime now) {
  while (!reserved_.empty() && reserved_.front() <= now) reserved_.pop_front();
  const std::size_t told_max = downloads_max_ * kToldPerDownload;
  while (!told_in_order_.empty() &&
         (told_in_order_.front().first <= now || told_in_order_.size() > told_max)) {
    // It may have been told again since, and stands further behind then.
    const auto known = told_.find(told_in_order_.front().second);
    if (known != told_.end() && known->second == told_in_order_.front().first) told_.erase(known);
    told_in_order_.pop_front();
  }
}

bool Admission::admit(std::string_view device, std::string_view deployment) {
  if (downloads_max_ == 0) return true;
  const SteadyTime now = clock_.now();
  std::string name = name_of(device, deployment);
  const std::lock_guard lock(mutex_);
  forget(now);
  const bool was_told = told_.contains(name);
  if (!was_told && downloads_ + reserved_.size() >= downloads_max_) {
    ++deferred_;
    return false;
  }
  if (!was_told) reserved_.push_back(now + kReservation);
  told_[name] = now + kMemory;
  told_in_order_.emplace_back(now + kMemory, std::move(name));
  return true;
}

Admission::Download Admission::begin_download(bool is_first) {
  const std::lock_guard lock(mutex_);
  if (is_first && !reserved_.empty()) reserved_.pop_front();
  return Download(downloads_);
}

}  // namespace postern::gateway
