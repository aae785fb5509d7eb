#include "proto/base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "proto/base/check.h"

namespace taskmint {

// SHA-256 under way. In no unnamed namespace, since classes of the header are made of it.
struct DigestContext {
  DigestContext() { TASKMINT_CHECK(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1); }
  ~DigestContext() { EVP_MD_CTX_free(context); }
  DigestContext(const DigestContext&) = delete;
  DigestContext& operator=(const DigestContext&) = delete;
  void Update(const void* bytes, size_t size) {
    TASKMINT_CHECK(EVP_DigestUpdate(context, bytes, size) == 1);
  }
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

namespace {

std::string Finish(EVP_MD_CTX* context) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int length = 0;
  TASKMINT_CHECK(EVP_DigestFinal_ex(context, bytes.data(), &length) == 1 && length == 32);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  hex.reserve(64);
  for (unsigned int i = 0; i < length; ++i) {
    hex.push_back(kHex[bytes[i] >> 4]);
    hex.push_back(kHex[bytes[i] & 15]);
  }
  return hex;
}

}  // namespace

struct DigestBuilder::State : DigestContext {};
struct StreamDigest::State : DigestContext {};

DigestBuilder::DigestBuilder() : state_(std::make_unique<State>()) {}
DigestBuilder::~DigestBuilder() = default;

DigestBuilder& DigestBuilder::Add(std::string_view field) {
  const uint64_t length = field.size();
  std::array<unsigned char, 8> prefix{};
  for (size_t i = 0; i < prefix.size(); ++i) {
    prefix[i] = static_cast<unsigned char>(length >> (8 * i));
  }
  state_->Update(prefix.data(), prefix.size());
  state_->Update(field.data(), field.size());
  return *this;
}

std::string DigestBuilder::Hex() { return Finish(state_->context); }

StreamDigest::StreamDigest() : state_(std::make_unique<State>()) {}
StreamDigest::~StreamDigest() = default;

StreamDigest& StreamDigest::Add(std::string_view piece) {
  state_->Update(piece.data(), piece.size());
  return *this;
}

std::string StreamDigest::Hex() { return Finish(state_->context); }

std::string Sha256Hex(std::string_view bytes) {
  DigestContext context;
  context.Update(bytes.data(), bytes.size());
  return Finish(context.context);
}

bool IsDigest(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace taskmint
