// Loaded models by name. A model is an immutable snapshot behind a shared pointer; requests hold the one
// they started with. Thread-safe.
#ifndef OCTET_SERVING_MODEL_REPOSITORY_H_
#define OCTET_SERVING_MODEL_REPOSITORY_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "model/predictions.h"
#include "serving/servable.h"

namespace octet::serving {

// A share of a model's texts is computed by a reference as well, to see how far answers are from it (shadow.h).
struct ShadowOptions {
  // In f32, without a tokenizer; null: no shadow. Takes batches of at least max_tokens tokens, and has as many values
  // of a text as the model.
  std::shared_ptr<const Servable> reference = nullptr;
  double share = 0;             // of texts, 0..1
  size_t max_tokens = 128;      // longer texts are left out
  size_t max_queue_texts = 64;  // more are dropped
};

struct ServedModel {
  std::string name;
  std::shared_ptr<const Servable> model;  // MakeServable(a loaded model::TextModel)
  absl::Duration load_time;
  // Of a classification model: what calls get that ask for nothing else.
  model::PredictionOptions predictions = {};
  ShadowOptions shadow = {};
};

class ModelRepository {
 public:
  // `default_model` may be empty: then requests without a name are answered if there is just one model.
  explicit ModelRepository(std::string default_model = "");

  // AlreadyExists for a name in use; InvalidArgument for one that is not [A-Za-z0-9][A-Za-z0-9._/-]{0,127}.
  absl::Status Add(ServedModel model);

  // By name; "" means the default. NotFound "model: not found" (never echoing the name), or
  // InvalidArgument "model: empty, and the server has N models and no default".
  absl::StatusOr<std::shared_ptr<const ServedModel>> Find(absl::string_view name) const;

  // The name under which a call for `name` is counted: itself, the model that "" stands for, or
  // "unknown". Valid as long as the repository (models are never taken out).
  absl::string_view LabelOf(absl::string_view name) const;

  std::vector<std::shared_ptr<const ServedModel>> List() const;  // by name
  const std::string& default_model() const { return default_model_; }

 private:
  std::shared_ptr<const ServedModel> FindOrNull(absl::string_view name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string default_model_;
  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<const ServedModel>, std::less<>> models_ ABSL_GUARDED_BY(mu_);
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_MODEL_REPOSITORY_H_
