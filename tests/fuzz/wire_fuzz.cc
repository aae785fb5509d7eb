#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/wire.h"

// The host reads frames that a taken-over agent may have written: nothing beyond the body is ever
// read, and what is read back is what was written.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint::sandbox;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  WireReader reader(body);
  FilePart part;
  while (ReadFilePart(reader, &part)) {
    WireWriter writer(reader.op());
    WriteFilePart(part, writer);
    WireReader back(writer.body());
    FilePart copy;
    if (!ReadFilePart(back, &copy) || !back.Done() || copy.path != part.path ||
        copy.content != part.content || copy.append != part.append) {
      __builtin_trap();
    }
  }
  WireReader fields(body);
  while (fields.ok() && !fields.at_end()) {
    switch (fields.Int() % 3) {
      case 0: {
        size_t bytes = 0;
        for (const std::string& value : fields.List()) bytes += value.size();
        if (bytes > size) __builtin_trap();
        break;
      }
      case 1:
        if (fields.Bytes().size() > size) __builtin_trap();
        break;
      default:
        break;
    }
  }
  return 0;
}
