// Revocation lists and lists of serial numbers.
#include "shared/crypto/revocation.hpp"

#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using postern::fuzzing::require;

namespace {

void look_at(const RevocationList& list) {
  (void)list.issuer();
  (void)list.next_update();
  (void)list.this_update();
  require(!list.is_older_than(list), "no list takes its own place");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::Input input(data, size);
  const std::uint8_t choice = input.byte();
  if (choice % 2 == 0) {
    const auto lists = RevocationList::list_from_bytes(input.text());
    if (!lists) return 0;
    require(!lists->empty(), "a file without a list is refused");
    for (const RevocationList& list : *lists) look_at(list);
    Revocations revocations;
    require(!revocations.add_crls(input.text(), {}), "a list that no authority signed is not taken");
    return 0;
  }
  Revocations revocations;
  (void)revocations.add_serials(input.text());
  return 0;
}
