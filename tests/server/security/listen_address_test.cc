// Addresses to listen on: their spelling, which are only this machine's, and which are numbers.
#include "server/security/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace octet::security {
namespace {

using ::testing::HasSubstr;

TEST(ListenAddressTest, ParsesListsOfBothKinds) {
  const auto addresses = ParseListenAddresses("127.0.0.1:50051, unix:/run/octet.sock,[::]:0");
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  ASSERT_EQ(addresses->size(), 3u);
  EXPECT_EQ((*addresses)[0].port, 50051);
  EXPECT_EQ((*addresses)[1].socket_path, "/run/octet.sock");
  EXPECT_TRUE((*addresses)[1].is_unix());
  EXPECT_EQ((*addresses)[2].host, "[::]");
}

TEST(ListenAddressTest, RefusesWhatCannotBeListenedOn) {
  const auto error = [](const std::string& text) { return std::string(ParseListenAddresses(text).status().message()); };
  EXPECT_THAT(error(""), HasSubstr("want HOST:PORT"));
  EXPECT_THAT(error("127.0.0.1:1,"), HasSubstr("want HOST:PORT"));
  EXPECT_THAT(error("unix:relative"), HasSubstr("want unix:/PATH with an absolute path of at most 107 bytes"));
  EXPECT_THAT(error("unix:/" + std::string(107, 'a')), HasSubstr("at most 107 bytes"));
  EXPECT_THAT(error("127.0.0.1:1,127.0.0.1:1"), HasSubstr("is given twice"));
  EXPECT_TRUE(ParseListenAddresses("127.0.0.1:0,127.0.0.1:0").ok());  // two free ports
}

TEST(ListenAddressTest, KnowsWhatOnlyThisMachineReaches) {
  for (const char* text : {"127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1", "LocalHost:1"}) {
    EXPECT_TRUE(ParseHostPort(text)->is_local()) << text;
  }
  for (const char* text :
       {":1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "example.com:1", "127.0.0.1.nip.io:1"}) {
    EXPECT_FALSE(ParseHostPort(text)->is_local()) << text;
  }
  EXPECT_TRUE((*ParseListenAddresses("unix:/run/s"))[0].is_local());
}

TEST(ListenAddressTest, TellsNumbersFromNames) {
  for (const char* text : {"127.0.0.1:1", ":1", "[::1]:1"}) EXPECT_TRUE(ParseHostPort(text)->is_numeric()) << text;
  for (const char* text : {"localhost:1", "example.com:1"}) EXPECT_FALSE(ParseHostPort(text)->is_numeric()) << text;
}

}  // namespace
}  // namespace octet::security
