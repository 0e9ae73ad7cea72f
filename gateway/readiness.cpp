#include "gateway/readiness.hpp"

#include <boost/json.hpp>

#include "gateway/store/tables.hpp"
#include "shared/async/within.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {

namespace json = boost::json;

StoreProbe::StoreProbe(Database& database, Clock& clock, Log& log, const net::any_io_executor& executor)
    : database_(database), clock_(clock), executor_(executor), written_(executor), scope_(executor, log) {}

net::awaitable<Status> StoreProbe::check() {
  if (!is_writing_ && outcome_ && clock_.now() - ended_ < kFresh) co_return *outcome_;
  if (!is_writing_) {
    is_writing_ = true;
    begun_ = clock_.now();
    if (!scope_.spawn(executor_, "health.probe", write())) co_return cancelled("the gateway stops");
  }
  const SteadyTime give_up = begun_ + kWriteMax;
  while (is_writing_) {
    if (clock_.now() >= give_up) {
      co_return exhausted(fmt::format("a write has been under way for {} s",
                                      (clock_.now() - begun_) / std::chrono::seconds(1)));
    }
    const auto waited = co_await within(clock_, give_up - clock_.now(), written_.wait());
    if (!waited && waited.error().kind == Kind::cancelled) co_return std::move(waited).error();
  }
  co_return *outcome_;
}

net::awaitable<void> StoreProbe::write() {
  const std::int64_t now = clock_.wall().time_since_epoch().count();
  outcome_ = co_await database_.write([now](WriteTxn& txn) {
    return txn.put(kProbes, as_bytes("readiness"), as_bytes(std::to_string(now)));
  });
  ended_ = clock_.now();
  is_writing_ = false;
  written_.notify();
}

net::awaitable<Status> StoreProbe::stop() {
  scope_.stop(net::cancellation_type::terminal);
  co_return co_await scope_.join(clock_, std::chrono::seconds(5));
}

net::awaitable<std::vector<Readiness::Finding>> Readiness::findings() const {
  std::vector<Finding> findings;
  for (const Entry& entry : checks_) {
    findings.push_back({.name = entry.name, .need = entry.need, .status = co_await entry.check()});
  }
  co_return findings;
}

bool Readiness::is_ready(const std::vector<Finding>& findings) {
  return std::ranges::all_of(findings, [](const Finding& finding) {
    return finding.status.has_value() || finding.need == Need::useful;
  });
}

void Readiness::add_routes(http::Router& router) const {
  router.add("GET", "/healthz", [this](http::Request&) { return tell_alive(); });
  router.add("GET", "/readyz", [this](http::Request&) { return tell_ready(); });
}

net::awaitable<http::Response> Readiness::tell_alive() const {
  // If it is the loop that runs this which is stuck, there is no answer, which says the same.
  const bool is_alive = loops_.is_alive();
  co_return http::json_answer(
      is_alive ? 200 : 503,
      json::object{{"alive", is_alive},
                   {"loop_silence_ms", loops_.silence() / std::chrono::milliseconds(1)}});
}

net::awaitable<http::Response> Readiness::tell_ready() const {
  const auto found = co_await findings();
  const bool ready = is_ready(found);
  json::array checks;
  for (const Finding& finding : found) {
    json::object check{
        {"name", finding.name}, {"ok", finding.status.has_value()}, {"needed", finding.need == Need::needed}};
    if (!finding.status) check["error"] = finding.status.error().what;
    checks.push_back(std::move(check));
  }
  co_return http::json_answer(ready ? 200 : 503,
                              json::object{{"ready", ready}, {"checks", std::move(checks)}});
}

}  // namespace postern::gateway
