// Tar archives written entry by entry, so that they can be wrong in every way.
#ifndef TASKMINT_TESTS_DATASETS_TAR_TEXT_H_
#define TASKMINT_TESTS_DATASETS_TAR_TEXT_H_

#include <cstdio>
#include <string>

namespace taskmint::datasets {

struct TarEntry {
  std::string path;
  std::string content = {};
  // '0' a file, '1' a hard link, '2' a symbolic link, '3' a device, '5' a folder, '6' a fifo.
  char type = '0';
  std::string target = {};
  // As the header claims; negative: that of `content`.
  long long size = -1;
};

// One entry in the ustar format.
inline std::string TarText(const TarEntry& entry) {
  std::string header(512, '\0');
  const auto put = [&](size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  const auto octal = [](int digits, long long value) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", digits, value);
    return std::string(text);
  };
  const auto size = entry.size < 0 ? static_cast<long long>(entry.content.size()) : entry.size;
  put(0, entry.path.substr(0, 100));
  put(100, octal(7, 0644));
  put(108, octal(7, 0));
  put(116, octal(7, 0));
  put(124, octal(11, size));
  put(136, octal(11, 0));
  put(148, "        ");
  header[156] = entry.type;
  put(157, entry.target.substr(0, 100));
  put(257, std::string("ustar\0"
                       "00",
                       8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, octal(6, sum) + std::string("\0 ", 2));
  std::string text = header + entry.content;
  text.resize((text.size() + 511) / 512 * 512);
  return text;
}

inline std::string TarEnd() { return std::string(1024, '\0'); }

}  // namespace taskmint::datasets

#endif  // TASKMINT_TESTS_DATASETS_TAR_TEXT_H_
