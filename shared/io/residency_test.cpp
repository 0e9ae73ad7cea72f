#include "shared/io/residency.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

constexpr std::size_t kBytes = 4 << 20;

/// A file, mapped.
class Residency : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string path = directory_.path() + "/file";
    ASSERT_TRUE(write_file(path, std::string(kBytes, 'x'), 0600, Existing::refuse));
    file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file_, 0);
    map_ = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file_, 0);
    ASSERT_NE(map_, MAP_FAILED);
  }
  void TearDown() override {
    munmap(map_, kBytes);
    ::close(file_);
  }
  Bytes bytes() const { return {static_cast<const std::byte*>(map_), kBytes}; }

  testing::TemporaryDirectory directory_;
  int file_ = -1;
  void* map_ = nullptr;
};

TEST_F(Residency, PagesThatWereFaultedInAreResident) {
  ASSERT_TRUE(fault_in(bytes()));
  EXPECT_TRUE(is_resident(bytes()));
  EXPECT_TRUE(is_resident(bytes().subspan(4095, 4099)));
}

TEST_F(Residency, NoBytesAreResident) {
  EXPECT_TRUE(is_resident(bytes().first(0)));
}

TEST_F(Residency, AMapWithoutAFileUnderItIsAnErrorAndNoCrash) {
  ASSERT_EQ(posix_fadvise(file_, 0, 0, POSIX_FADV_DONTNEED), 0);
  const std::string path = directory_.path() + "/file";
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  EXPECT_FALSE(is_resident(bytes()));
  EXPECT_FALSE(fault_in(bytes()));
}

}  // namespace
}  // namespace postern
