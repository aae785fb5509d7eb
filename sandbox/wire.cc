#include "sandbox/wire.h"

#include <cstring>

namespace taskmint::sandbox {

WireWriter& WireWriter::Int(uint64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  bytes_.append(bytes, sizeof bytes);
  return *this;
}

WireWriter& WireWriter::Bytes(std::string_view value) {
  Int(value.size());
  bytes_.append(value);
  return *this;
}

WireWriter& WireWriter::List(const std::vector<std::string>& values) {
  Int(values.size());
  for (const std::string& value : values) Bytes(value);
  return *this;
}

WireReader::WireReader(std::string_view body) {
  if (body.empty()) {
    ok_ = false;
    return;
  }
  op_ = static_cast<Op>(body[0]);
  rest_ = body.substr(1);
}

uint64_t WireReader::Int() {
  if (!ok_ || rest_.size() < 8) {
    ok_ = false;
    return 0;
  }
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(rest_[i]);
  rest_.remove_prefix(8);
  return value;
}

std::string_view WireReader::Bytes() {
  const uint64_t size = Int();
  if (!ok_ || size > rest_.size()) {
    ok_ = false;
    return {};
  }
  const std::string_view bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return bytes;
}

std::vector<std::string> WireReader::List() {
  std::vector<std::string> values;
  const uint64_t count = Int();
  // Each entry takes 8 bytes at least, so a count beyond that is a lie: nothing is reserved by it.
  if (count > rest_.size() / 8) ok_ = false;
  for (uint64_t i = 0; ok_ && i < count; ++i) values.emplace_back(Bytes());
  if (!ok_) values.clear();
  return values;
}

void WriteFilePart(const FilePart& part, WireWriter& writer) {
  writer.Bytes(part.path).Int(part.kind).Int(part.append ? 1 : 0).Bytes(part.content);
}

bool ReadFilePart(WireReader& reader, FilePart* part) {
  part->path = reader.Bytes();
  const uint64_t kind = reader.Int();
  const uint64_t append = reader.Int();
  part->content = reader.Bytes();
  if (!reader.ok() || kind > FilePart::kSymlink || append > 1) return false;
  part->kind = static_cast<FilePart::Kind>(kind);
  part->append = append == 1;
  return true;
}

}  // namespace taskmint::sandbox
