#include "gateway/upstream/health.hpp"

#include <algorithm>

namespace postern::gateway {

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::unknown:
      return "unknown";
    case Standing::up:
      return "up";
    case Standing::down:
      return "down";
  }
  return "unknown";
}

Health::Health(std::size_t count, Clock& clock, Duration return_after)
    : clock_(clock), return_after_(return_after), states_(count) {}

std::vector<std::size_t> Health::order() {
  const std::lock_guard lock(mutex_);
  std::vector<std::size_t> order;
  order.reserve(states_.size());
  const auto add = [&](std::size_t index) {
    if (std::ranges::find(order, index) == order.end()) order.push_back(index);
  };
  if (current_ != 0 && clock_.now() - first_tried_ >= return_after_) {
    first_tried_ = clock_.now();
    add(0);
  }
  add(current_);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].standing != Standing::down) add(i);
  }
  for (std::size_t i = 0; i < states_.size(); ++i) add(i);
  return order;
}

bool Health::note(std::size_t index, Standing standing) {
  State& state = states_[index];
  if (standing == Standing::down) ++state.failures;
  if (state.standing == standing) return false;
  state.standing = standing;
  state.since = clock_.wall();
  return true;
}

bool Health::note_up(std::size_t index) {
  const std::lock_guard lock(mutex_);
  const bool is_news = note(index, Standing::up);
  // An answer that was long on its way from an upstream that was left meanwhile does not bring us back.
  if (index == 0 || states_[current_].standing == Standing::down) current_ = index;
  return is_news;
}

bool Health::note_down(std::size_t index) {
  const std::lock_guard lock(mutex_);
  const bool is_news = note(index, Standing::down);
  if (index == 0) first_tried_ = clock_.now();
  if (index != current_) return is_news;
  const auto usable =
      std::ranges::find_if(states_, [](const State& state) { return state.standing != Standing::down; });
  if (usable != states_.end()) current_ = static_cast<std::size_t>(usable - states_.begin());
  return is_news;
}

std::vector<Health::State> Health::states() const {
  const std::lock_guard lock(mutex_);
  auto states = states_;
  states[current_].is_current = true;
  return states;
}

}  // namespace postern::gateway
