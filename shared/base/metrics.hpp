// Metrics, and how they are told to Prometheus (text format 0.0.4).
//
//   struct Metrics : MetricRegistry {
//     Counter fills{*this, "postern_gateway_cache_fills_total", "Fills of the cache that were begun."};
//     CounterFamily handshakes{*this, "postern_gateway_handshakes_total", "TLS handshakes.", {"result"}};
//   };
//   ++metrics.fills;
//   metrics.handshakes.add({"ok"});
//   metrics.collect([&](Scrape& scrape) { scrape.gauge("postern_gateway_connections", "Open now.", count());
//   });
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Takes the values of one scrape. Values of one name may come from several sides; they stand together.
class Scrape {
 public:
  template <class T>
  void counter(std::string_view name, std::string_view help, T value, MetricLabels labels = {}) {
    add("counter", name, help, to_text(value), {labels.begin(), labels.end()});
  }
  template <class T>
  void gauge(std::string_view name, std::string_view help, T value, MetricLabels labels = {}) {
    add("gauge", name, help, to_text(value), {labels.begin(), labels.end()});
  }
  /// A counter whose labels are not known before it runs.
  void counter(std::string_view name, std::string_view help, std::uint64_t value,
               const std::vector<std::pair<std::string_view, std::string_view>>& labels) {
    add("counter", name, help, to_text(value), labels);
  }
  /// Names a family that may have no values yet.
  void describe(std::string_view type, std::string_view name, std::string_view help);

  std::string text() const;

 private:
  struct Family {
    std::string type;
    std::string help;
    std::string samples;
  };

  template <std::integral T>
  static std::string to_text(T value) {
    return std::to_string(value);
  }
  static std::string to_text(double value);
  Family& family(std::string_view type, std::string_view name, std::string_view help);
  void add(std::string_view type, std::string_view name, std::string_view help, std::string_view value,
           const std::vector<std::pair<std::string_view, std::string_view>>& labels);

  std::map<std::string, Family, std::less<>> families_;
};

/// All metrics of a program. What it is made of and what is added to it lives as long as it is scraped.
/// Thread-safe.
class MetricRegistry {
 public:
  using Collector = std::function<void(Scrape&)>;

  MetricRegistry() = default;
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;

  /// Adds what is asked at every scrape. It runs on the scraping thread and must not block.
  void collect(Collector collector);
  /// Everything, as Prometheus reads it.
  std::string text() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Collector> collectors_;
};

/// A number that only grows. Thread-safe.
class Counter {
 public:
  /// The texts are literals.
  Counter(MetricRegistry& registry, std::string_view name, std::string_view help);
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  Counter& operator++() { return *this += 1; }
  Counter& operator+=(std::uint64_t by) {
    value_.fetch_add(by, std::memory_order_relaxed);
    return *this;
  }
  operator std::uint64_t() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

/// Counters of one name, told apart by labels. The values of labels come from a small set that we know, never
/// from a peer: each combination is kept for ever. Thread-safe.
class CounterFamily {
 public:
  /// The texts are literals.
  CounterFamily(MetricRegistry& registry, std::string_view name, std::string_view help,
                std::initializer_list<std::string_view> labels);
  CounterFamily(const CounterFamily&) = delete;
  CounterFamily& operator=(const CounterFamily&) = delete;

  /// One value for each label, in their order.
  void add(std::initializer_list<std::string_view> values, std::uint64_t by = 1);
  std::uint64_t value(std::initializer_list<std::string_view> values) const;

 private:
  struct Less {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    }
  };

  const std::vector<std::string_view> labels_;
  mutable std::mutex mutex_;
  std::map<std::vector<std::string>, std::uint64_t, Less> values_;
};

/// Memory, descriptors, threads and processor time of this process, by the names that Prometheus' own
/// libraries give them; read from /proc.
void collect_process(Scrape& scrape);

/// The values of one `/proc/self/stat` line that are told; in the units of proc(5).
struct ProcessStat {
  std::uint64_t ticks = 0;  ///< user and system, of processor time
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  ///< after boot
  std::uint64_t memory_bytes = 0;
  std::uint64_t resident_pages = 0;
};
/// False when it cannot be read. The program's name in it may hold anything.
bool parse_process_stat(std::string_view line, ProcessStat& stat);

}  // namespace postern
