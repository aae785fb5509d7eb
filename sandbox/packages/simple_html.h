// The HTML form of Python's simple repository API (PEP 503): read and written. No I/O here.
#ifndef TASKMINT_SANDBOX_PACKAGES_SIMPLE_HTML_H_
#define TASKMINT_SANDBOX_PACKAGES_SIMPLE_HTML_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::sandbox {

// What counts on such a page, unescaped.
struct SimpleHtml {
  using Attributes = std::vector<std::pair<std::string, std::string>>;
  struct Anchor {
    std::string href;
    std::string text;
    Attributes data;  // "data-requires-python" and the like, in order
  };

  std::string base;  // of the first base element, or empty
  Attributes meta;   // name and content of those whose name begins with "pypi:"
  std::vector<Anchor> anchors;
};

// Any bytes: what is no HTML has no anchors. Anchors without href are left out, and text outside
// of them. RESOURCE_EXHAUSTED (sandbox) beyond a million anchors.
Result<SimpleHtml> ReadSimpleHtml(std::string_view bytes);

// A whole page. Names of attributes are written as they are.
std::string WriteSimpleHtml(const SimpleHtml& page);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_SIMPLE_HTML_H_
