// Near-duplicates of code tasks: MinHash finds the pairs worth a look, exact Jaccard decides.
#ifndef TASKMINT_DATASETS_NEAR_DUPLICATES_H_
#define TASKMINT_DATASETS_NEAR_DUPLICATES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace taskmint::datasets {

// Two documents are near-duplicates from this Jaccard similarity on.
inline constexpr double kNearDuplicate = 0.8;

// The document of a code task: its prompt, a space, and its patch without the lines that only say
// how a tool wrote it ("index 3fa94c1..77ab012 100644"): some tools leave them out. File headers,
// hunk headers and context stay, with their numbers masked as everywhere.
std::string CodeTaskText(std::string_view prompt, std::string_view patch);
// `patch` without its index lines.
std::string PatchText(std::string_view patch);

// `text` with ASCII letters in lower case and '#' for each literal:
// - A double-quoted string on one line (a backslash escapes), unless a colon follows it, blanks
//   between them allowed: that is a key, and stays. A quote that is not closed on its line is an
//   ordinary character, and so are those after it there.
// - A number, date or time: what begins with a digit that no letter, digit or underscore precedes,
//   and goes on with letters, digits and underscores, and with '.', ':', '-' or '+' before a digit.
//   So 0x7f, 1e-5, 2024-05-01t12:00:00+02:00 and the 12 and 7 of "@@ -12,7" are one '#' each;
//   sha256 is a name and stays.
// - A hash: a word of 7 to 64 hex digits, one of them a decimal one.
// Everything else stays as it is. Linear in the text; any bytes.
std::string MaskLiterals(std::string_view text);

// The distinct word 5-shingles of MaskLiterals(text), as 64-bit hashes in ascending order. Words
// are what ASCII white space separates. A text of one to four words is one shingle, one of none has
// none. Linear in the text, 8 bytes a word. Two different shingles have one hash with a probability
// of 2^-64, which is taken for never.
using Shingles = std::vector<uint64_t>;
Shingles ShinglesOf(std::string_view text);

// |a ∩ b| / |a ∪ b|; 0 where both are empty.
double Jaccard(const Shingles& a, const Shingles& b);

// Documents that were added, to be asked for near-duplicates of another one. MinHash (Broder, "On
// the resemblance and containment of documents", 1997) in b bands of r rows (Leskovec, Rajaraman,
// Ullman, Mining of Massive Datasets, section 3.4): a pair of similarity s is compared with the
// probability 1 - (1 - s^r)^b. With b = 35 and r = 5 one of s = 0.8 is missed with a probability of
// (1 - 0.8^5)^35 = 9.3e-7, and a more similar one with less. Whether what is compared is near, the
// exact similarity of the two sets decides.
//
// Equal sets are one entry, and crowds cost no more than linear time: Add looks at the latest 1,024
// entries of a bucket, Take at 16,384, and either ends after 1,024 comparisons with what is not
// near, those with most bands in common first. In crowds of more than a thousand texts that are
// alike but not near-duplicates, the probability above is therefore not what it says.
//
// The seeds are fixed: the same documents in the same order give the same answers everywhere.
// Memory: 8 bytes a shingle and about 1,500 an entry. Not thread-safe.
class NearDuplicateIndex {
 public:
  NearDuplicateIndex();
  ~NearDuplicateIndex();
  NearDuplicateIndex(const NearDuplicateIndex&) = delete;
  NearDuplicateIndex& operator=(const NearDuplicateIndex&) = delete;

  struct Match {
    // Place of the document in the order in which it was added, from 0.
    size_t document = 0;
    double similarity = 0;
  };

  // Adds a document and returns an earlier one that is near, if there is one: the most similar of
  // the first 32 that it was found near to, of equally similar ones the earliest. A document
  // without shingles is near nothing.
  std::optional<Match> Add(Shingles shingles);
  // The documents near `shingles` that no earlier call returned, in the order in which they were
  // added: one finding a document. All documents are added before the first call.
  std::vector<Match> Take(const Shingles& shingles);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A document and what it is near to.
struct NearPair {
  std::string id;
  std::string other;
  double similarity = 0;
};
struct Document {
  std::string id;
  std::string text;
};

// For each document an earlier one that it is near to, if there is one (see Add): documents without
// a pair are distinct from all before them.
std::vector<NearPair> FindNearDuplicates(const std::vector<Document>& documents);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_NEAR_DUPLICATES_H_
