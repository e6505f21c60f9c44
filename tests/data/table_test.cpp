// Tables of text: encodings, separators, quotes, line ends, and what is refused.
#include "data/table.h"

#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::TemporaryFolder;
using Cells = std::vector<std::string>;

Table read(const std::string& text) {
  const TemporaryFolder folder;
  return read_table(folder.write("t.csv", text));
}

std::string utf16(const std::u16string& text, bool little, bool mark) {
  std::string bytes;
  for (const char16_t c : (mark ? u"\uFEFF" : u"") + text) {
    const char low = static_cast<char>(c & 255), high = static_cast<char>(c >> 8);
    bytes += little ? std::string{low, high} : std::string{high, low};
  }
  return bytes;
}

TEST(Table, BlanksLineEndsAndQuotes) {
  const Table t = read(
      "\xEF\xBB\xBF file ,\tlabel\r\n\r\n a.png , \" wolf, grey \" \r\nb.png\xC2\xA0,\"say "
      "\"\"x\"\"\"\n , \r\"two\nlines\",5\"\rlast,\xC3\xA4");
  EXPECT_EQ(t.header, (Cells{"file", "label"}));
  ASSERT_EQ(t.rows.size(), 4u);
  EXPECT_EQ(t.rows[0].cells, (Cells{"a.png", "wolf, grey"}));
  EXPECT_EQ(t.rows[0].line, 3);
  EXPECT_EQ(t.rows[1].cells, (Cells{"b.png", "say \"x\""}));
  EXPECT_EQ(t.rows[2].cells, (Cells{"two\nlines", "5\""}));
  EXPECT_EQ(t.rows[2].line, 6);
  EXPECT_EQ(t.rows[3].cells, (Cells{"last", "\xC3\xA4"}));
  EXPECT_EQ(t.rows[3].line, 8);
}

TEST(Table, Separators) {
  EXPECT_EQ(read("file;class\na,b.png;3\n").rows[0].cells, (Cells{"a,b.png", "3"}));
  EXPECT_EQ(read("file\tclass\na b.png\t3\n").rows[0].cells, (Cells{"a b.png", "3"}));
  EXPECT_EQ(read("file\tclass\n\t3\n").rows[0].cells, (Cells{"", "3"}));
  EXPECT_EQ(read("\"a;b;c\",class\nx,y\n").header, (Cells{"a;b;c", "class"}));
  const Table said = read("sep=;\r\nfile;a,b,c\r\nx;y\r\n");
  EXPECT_EQ(said.header, (Cells{"file", "a,b,c"}));
  EXPECT_EQ(said.rows[0].line, 3);
}

TEST(Table, Utf16) {
  for (const bool little : {true, false})
    for (const bool mark : {true, false}) {
      const Table t = read(utf16(u"file\tclass\r\na.png\tB\u00E4r \U0001F43B\r\n", little, mark));
      EXPECT_EQ(t.header, (Cells{"file", "class"})) << little << mark;
      EXPECT_EQ(t.rows[0].cells, (Cells{"a.png", "B\xC3\xA4r \xF0\x9F\x90\xBB"})) << little << mark;
    }
  expect_error([] { read(utf16(u"file,class\n", true, true) + "x"); },
               {"t.csv", "UTF-16", "ends within"});
  expect_error([] { read(utf16(u"file,class\na,\xD800\n", true, true)); }, {"line 2", "UTF-8"});
}

TEST(Table, Damage) {
  expect_error([] { read("file,class\na.png,1\nb.png,B\xE4r\n"); },
               {"t.csv: line 3", "UTF-8", "228"});
  expect_error([] { read(std::string("file,class\na\0b,1\n", 17)); }, {"line 2", "byte of 0"});
  expect_error([] { read(std::string("\xFF\xFE\0\0f\0\0\0", 8)); }, {"line 1", "UTF-8"});
  expect_error([] { read("file,class\n\na.png\n"); }, {"line 3", "expected 2 columns", "found 1"});
  expect_error([] { read("file,class\n\"a.png,1\nb,2\n"); }, {"line 2", "quote not closed"});
  expect_error([] { read("file,class\n\"a.png\"x,1\n"); }, {"line 2", "separator", "'x'"});
  expect_error([] { read_table("no/such.csv"); }, {"no/such.csv"});
  EXPECT_TRUE(read("").header.empty());
  EXPECT_TRUE(read(" \n,,\n").header.empty());
}

}  // namespace
}  // namespace limbeck::data
