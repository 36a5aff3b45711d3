#include <vector>

#include "model/families/family.h"

namespace octet::model {

std::span<const Family> Families() {
  static const std::vector<Family>& families = *new std::vector<Family>{
      BertFamily(),
  };
  return families;
}

const Family* FindFamilyOrNull(absl::string_view model_type) {
  for (const Family& family : Families()) {
    if (model_type == family.model_type) return &family;
  }
  return nullptr;
}

}  // namespace octet::model
