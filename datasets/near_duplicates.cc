#include "datasets/near_duplicates.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "proto/base/random.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kBands = 35;
constexpr size_t kRows = 5;
constexpr size_t kShingleWords = 5;
// Entries of one bucket that a question looks at, the latest first.
constexpr int kBucketVisitsOfAddMax = 1'024;
constexpr int kBucketVisitsOfTakeMax = 16'384;
constexpr int kFarComparedMax = 1'024;
constexpr size_t kNearComparedMax = 32;
constexpr uint32_t kNoNode = UINT32_MAX;
constexpr std::string_view kWordBreaks = " \t\r\n\f\v";

bool IsDecimal(char c) { return c >= '0' && c <= '9'; }

bool IsHexadecimal(char c) {
  return IsDecimal(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool IsNameByte(char c) {
  return IsDecimal(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

size_t EndOfName(std::string_view text, size_t at) {
  while (at < text.size() && IsNameByte(text[at])) ++at;
  return at;
}

size_t EndOfNumber(std::string_view text, size_t at) {
  for (;;) {
    at = EndOfName(text, at);
    const bool goes_on = at + 1 < text.size() &&
                         std::string_view(".:-+").find(text[at]) != std::string_view::npos &&
                         IsDecimal(text[at + 1]);
    if (!goes_on) return at;
    ++at;
  }
}

bool IsHash(std::string_view name) {
  return name.size() >= 7 && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), IsHexadecimal) &&
         std::any_of(name.begin(), name.end(), IsDecimal);
}

// Behind the quote that closes the one at `at`, or the line's end with `closed` false.
size_t EndOfString(std::string_view text, size_t at, bool& closed) {
  for (++at; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] == '"') {
      closed = true;
      return at + 1;
    }
    if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] != '\n') ++at;
  }
  closed = false;
  return at;
}

bool IsKey(std::string_view text, size_t end_of_string) {
  const size_t at = text.find_first_not_of(" \t", end_of_string);
  return at != std::string_view::npos && text[at] == ':';
}

// "index 3fa94c1..77ab012" with or without a mode behind it.
bool IsIndexLine(std::string_view line) {
  constexpr std::string_view kIndex = "index ";
  if (!line.starts_with(kIndex)) return false;
  line.remove_prefix(kIndex.size());
  const auto skip_hash = [&line] {
    size_t digits = 0;
    while (digits < line.size() && IsHexadecimal(line[digits])) ++digits;
    line.remove_prefix(digits);
    return digits > 0;
  };
  if (!skip_hash() || !line.starts_with("..")) return false;
  line.remove_prefix(2);
  return skip_hash() && line.find_first_not_of(" 01234567\r\n") == std::string_view::npos;
}

// The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
uint64_t Mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

uint64_t HashOfWord(std::string_view word) {
  uint64_t hash = Mixed(word.size() + 1);
  while (!word.empty()) {
    uint64_t chunk = 0;
    const size_t bytes = std::min<size_t>(word.size(), sizeof chunk);
    for (size_t i = 0; i < bytes; ++i) {
      chunk |= uint64_t{static_cast<unsigned char>(word[i])} << (8 * i);
    }
    hash = Mixed(hash ^ chunk) + 0x9E3779B97F4A7C15U;
    word.remove_prefix(bytes);
  }
  return hash;
}

std::vector<uint64_t> HashesOfWords(std::string_view text) {
  std::vector<uint64_t> words;
  for (;;) {
    const size_t begin = text.find_first_not_of(kWordBreaks);
    if (begin == std::string_view::npos) return words;
    const size_t end = std::min(text.find_first_of(kWordBreaks, begin), text.size());
    words.push_back(HashOfWord(text.substr(begin, end - begin)));
    text.remove_prefix(end);
  }
}

// Jaccard similarity where it reaches kNearDuplicate, else 0: ends as soon as it cannot.
double NearSimilarity(const Shingles& a, const Shingles& b) {
  const size_t total = a.size() + b.size();
  // Elements without a partner; s = (total - alone) / (total + alone) falls with them.
  const auto alone_max = static_cast<size_t>(
      static_cast<double>(total) * (1 - kNearDuplicate) / (1 + kNearDuplicate) + 1);
  size_t alone = 0;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i] == b[j]) {
      ++i;
      ++j;
      continue;
    }
    (a[i] < b[j] ? i : j) += 1;
    if (++alone > alone_max) return 0;
  }
  const size_t both = (total - alone - (a.size() - i) - (b.size() - j)) / 2;
  const double similarity = static_cast<double>(both) / static_cast<double>(total - both);
  return similarity >= kNearDuplicate ? similarity : 0;
}

// One value a band.
using BandKeys = std::array<uint64_t, kBands>;

struct Permutation {
  uint64_t factor;  // odd
  uint64_t offset;
};

const std::array<Permutation, kBands * kRows>& Permutations() {
  static const auto permutations = [] {
    std::array<Permutation, kBands * kRows> drawn{};
    Random random(1, "near duplicates");
    for (Permutation& permutation : drawn) permutation = {random.Next() | 1, random.Next()};
    return drawn;
  }();
  return permutations;
}

BandKeys BandKeysOf(const Shingles& shingles) {
  BandKeys keys{};
  for (size_t band = 0; band < kBands; ++band) {
    uint64_t key = Mixed(band + 1);
    for (size_t row = 0; row < kRows; ++row) {
      const Permutation permutation = Permutations()[band * kRows + row];
      uint64_t smallest = UINT64_MAX;
      for (const uint64_t shingle : shingles) {
        smallest = std::min(smallest, permutation.factor * shingle + permutation.offset);
      }
      key = Mixed(key ^ smallest) + row;
    }
    keys[band] = std::max<uint64_t>(key, 1);
  }
  return keys;
}

}  // namespace

std::string PatchText(std::string_view patch) {
  std::string text;
  text.reserve(patch.size());
  while (!patch.empty()) {
    const size_t bytes = std::min(patch.find('\n'), patch.size() - 1) + 1;
    if (!IsIndexLine(patch.substr(0, bytes))) text += patch.substr(0, bytes);
    patch.remove_prefix(bytes);
  }
  return text;
}

std::string CodeTaskText(std::string_view prompt, std::string_view patch) {
  return std::string(prompt) + " " + PatchText(patch);
}

std::string MaskLiterals(std::string_view text) {
  std::string masked;
  masked.reserve(text.size());
  size_t copied = 0;
  const auto mask = [&](size_t begin, size_t end) {
    masked.append(text, copied, begin - copied).push_back('#');
    copied = end;
  };
  size_t ordinary_until = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    if (text[at] == '"' && at >= ordinary_until) {
      bool closed = false;
      const size_t end_of_string = EndOfString(text, at, closed);
      if (!closed) {
        ordinary_until = end_of_string;
      } else {
        end = end_of_string;
        if (!IsKey(text, end)) mask(at, end);
      }
    } else if (IsDecimal(text[at])) {
      end = EndOfNumber(text, at);
      mask(at, end);
    } else if (IsNameByte(text[at])) {
      end = EndOfName(text, at);
      if (IsHash(text.substr(at, end - at))) mask(at, end);
    }
    at = end;
  }
  masked.append(text, copied);
  return LowerCase(std::move(masked));
}

Shingles ShinglesOf(std::string_view text) {
  const std::vector<uint64_t> words = HashesOfWords(MaskLiterals(text));
  Shingles shingles;
  if (words.empty()) return shingles;
  const size_t width = std::min(kShingleWords, words.size());
  shingles.reserve(words.size() - width + 1);
  for (size_t begin = 0; begin + width <= words.size(); ++begin) {
    uint64_t hash = width;
    for (size_t i = 0; i < width; ++i) hash = Mixed(hash ^ words[begin + i]) + i;
    shingles.push_back(hash);
  }
  std::sort(shingles.begin(), shingles.end());
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
  shingles.shrink_to_fit();
  return shingles;
}

double Jaccard(const Shingles& a, const Shingles& b) {
  size_t both = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    both += *i == *j ? 1 : 0;
    const bool first = *i <= *j;
    const bool second = *j <= *i;
    i += first ? 1 : 0;
    j += second ? 1 : 0;
  }
  const size_t either = a.size() + b.size() - both;
  return either == 0 ? 0 : static_cast<double>(both) / static_cast<double>(either);
}

struct NearDuplicateIndex::State {
  // Band key -> the entries that have it. Open addressing over lists in one array: a node-based map
  // would take three times the memory.
  class Buckets {
   public:
    Buckets() : slots_(1 << 10) {}

    void Insert(uint64_t key, uint32_t entry) {
      if (2 * used_ >= slots_.size()) Grow();
      Slot& slot = SlotOf(key);
      if (slot.key == 0) {
        slot.key = key;
        ++used_;
      }
      nodes_.push_back({entry, slot.first});
      slot.first = static_cast<uint32_t>(nodes_.size() - 1);
    }

    // The latest first, until `visits_max` are kept. Entries for which `visit` returns false are
    // taken out of the bucket.
    template <typename Visit>
    void ForEach(uint64_t key, int visits_max, const Visit& visit) {
      uint32_t* link = &SlotOf(key).first;
      while (*link != kNoNode && visits_max > 0) {
        Node& node = nodes_[*link];
        if (visit(node.entry)) {
          link = &node.next;
          --visits_max;
        } else {
          *link = node.next;
        }
      }
    }

   private:
    struct Slot {
      uint64_t key = 0;  // 0: free
      uint32_t first = kNoNode;
    };
    struct Node {
      uint32_t entry;
      uint32_t next;
    };

    Slot& SlotOf(uint64_t key) {
      size_t at = key & (slots_.size() - 1);
      while (slots_[at].key != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
      return slots_[at];
    }

    void Grow() {
      std::vector<Slot> old(2 * slots_.size());
      old.swap(slots_);
      for (const Slot& slot : old) {
        if (slot.key != 0) SlotOf(slot.key) = slot;
      }
    }

    std::vector<Slot> slots_;
    std::vector<Node> nodes_;
    size_t used_ = 0;
  };

  struct Entry {
    Shingles shingles;
    // Those of equal shingles, in the order in which they were added.
    std::vector<size_t> documents;
    bool taken = false;
  };

  // Entries that share a band with one of `keys`, those with most bands first, then the earliest.
  std::vector<uint32_t> Candidates(const BandKeys& keys, int visits_max) {
    std::vector<uint32_t> candidates;
    for (const uint64_t key : keys) {
      buckets.ForEach(key, visits_max, [&](uint32_t entry) {
        if (entries[entry].taken) return false;
        if (shared[entry]++ == 0) candidates.push_back(entry);
        return true;
      });
    }
    std::sort(candidates.begin(), candidates.end(), [&](uint32_t a, uint32_t b) {
      return shared[a] != shared[b] ? shared[a] > shared[b] : a < b;
    });
    for (const uint32_t entry : candidates) shared[entry] = 0;
    return candidates;
  }

  // Calls `found(entry, similarity)` for entries near `shingles` until it returns false or the
  // comparisons with what is far are used up.
  template <typename Found>
  void Compare(const Shingles& shingles, const BandKeys& keys, int visits_max, const Found& found) {
    int far = 0;
    for (const uint32_t at : Candidates(keys, visits_max)) {
      Entry& entry = entries[at];
      const double similarity = NearSimilarity(shingles, entry.shingles);
      if (similarity > 0 ? !found(entry, similarity) : ++far == kFarComparedMax) return;
    }
  }

  std::vector<Entry> entries;
  // Place in `entries` by the hash of the whole set.
  std::unordered_map<uint64_t, uint32_t> by_set;
  Buckets buckets;
  // How many bands an entry shares while a question is answered, else 0.
  std::vector<uint32_t> shared;
  size_t documents = 0;
};

NearDuplicateIndex::NearDuplicateIndex() : state_(std::make_unique<State>()) {}
NearDuplicateIndex::~NearDuplicateIndex() = default;

std::optional<NearDuplicateIndex::Match> NearDuplicateIndex::Add(Shingles shingles) {
  State& state = *state_;
  const size_t document = state.documents++;
  if (shingles.empty()) return std::nullopt;
  uint64_t hash = shingles.size();
  for (const uint64_t shingle : shingles) hash = Mixed(hash ^ shingle);
  const auto place = static_cast<uint32_t>(state.entries.size());
  const auto [same, first] = state.by_set.try_emplace(hash, place);
  if (!first && state.entries[same->second].shingles == shingles) {
    State::Entry& entry = state.entries[same->second];
    entry.documents.push_back(document);
    return Match{entry.documents.front(), 1};
  }
  const BandKeys keys = BandKeysOf(shingles);
  std::optional<Match> best;
  size_t near = 0;
  state.Compare(
      shingles, keys, kBucketVisitsOfAddMax, [&](const State::Entry& entry, double similarity) {
        const Match match = {entry.documents.front(), similarity};
        const bool better = !best || similarity > best->similarity ||
                            (similarity == best->similarity && match.document < best->document);
        if (better) best = match;
        return ++near < kNearComparedMax;
      });
  for (const uint64_t key : keys) state.buckets.Insert(key, place);
  state.shared.push_back(0);
  state.entries.push_back({std::move(shingles), {document}});
  return best;
}

std::vector<NearDuplicateIndex::Match> NearDuplicateIndex::Take(const Shingles& shingles) {
  std::vector<Match> matches;
  if (shingles.empty()) return matches;
  state_->Compare(shingles, BandKeysOf(shingles), kBucketVisitsOfTakeMax,
                  [&](State::Entry& entry, double similarity) {
                    entry.taken = true;
                    for (const size_t document : entry.documents)
                      matches.push_back({document, similarity});
                    return true;
                  });
  std::sort(matches.begin(), matches.end(),
            [](const Match& a, const Match& b) { return a.document < b.document; });
  return matches;
}

std::vector<NearPair> FindNearDuplicates(const std::vector<Document>& documents) {
  std::vector<NearPair> pairs;
  NearDuplicateIndex index;
  for (const Document& document : documents) {
    if (const auto match = index.Add(ShinglesOf(document.text)); match.has_value()) {
      pairs.push_back({document.id, documents[match->document].id, match->similarity});
    }
  }
  return pairs;
}

}  // namespace taskmint::datasets
