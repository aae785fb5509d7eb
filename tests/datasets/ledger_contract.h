// What every ledger must do: INSTANTIATE_TEST_SUITE_P(Name, LedgerContractTest, Values(&kFactory)).
#ifndef TASKMINT_TESTS_DATASETS_LEDGER_CONTRACT_H_
#define TASKMINT_TESTS_DATASETS_LEDGER_CONTRACT_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "datasets/ledger.h"
#include "datasets/store.h"
#include "proto/base/clock.h"

namespace taskmint::datasets {

// A ledger made for one test, with its store (runs, candidates, stage rows).
class LedgerUnderTest {
 public:
  virtual ~LedgerUnderTest() = default;
  virtual Ledger& ledger() = 0;
  virtual Store& store() = 0;
  // What the worker program is given to open the same ledger from another process.
  virtual std::string address() const = 0;
};

using LedgerFactory = std::unique_ptr<LedgerUnderTest> (*)(const Clock& clock);

class LedgerContractTest : public ::testing::TestWithParam<LedgerFactory> {};

}  // namespace taskmint::datasets

#endif  // TASKMINT_TESTS_DATASETS_LEDGER_CONTRACT_H_
