// What handlers of all services do with a call besides its own messages: refuse it, name it for the metrics, send it
// through the pipeline. Thread-safe functions.
#ifndef OCTET_SERVER_RPC_SERVICE_CALLS_H_
#define OCTET_SERVER_RPC_SERVICE_CALLS_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/rpc/services.h"
#include "server/rpc/transport.h"
#include "serving/call.h"

namespace octet::rpc {

// A refusal that the pipeline never saw.
inline void Refuse(const ServiceContext& context, absl::Status status, Reply reply) {
  serving::CountRefusal(status, context.metrics);
  std::move(reply)(std::move(status), "");
}

// The name that calls are counted under: what the client asked for if it is served, never what it made up.
inline std::string LabelOf(const ServiceContext& context, const std::string& model) {
  const absl::string_view label = context.repository->LabelOf(model);
  return std::string(label.data(), label.size());
}

// Sends `parsed` through the pipeline; `finish` gets the parsed request, whose `request` is gone, back with the
// answer, the label and the reply.
template <typename Parsed, typename Finish>
void Submit(const ServiceContext& context, Call call, std::unique_ptr<Parsed> parsed, Finish finish) {
  serving::Request request = std::move(parsed->request);
  request.method = call.method;
  request.deadline = call.deadline;
  request.cancelled = call.cancelled;
  request.trace = std::move(call.trace);
  std::string label = LabelOf(context, request.model);
  context.pipeline->Submit(std::move(request),
                           [parsed = std::move(parsed), reply = std::move(call.reply), label = std::move(label),
                            finish = std::move(finish)](absl::StatusOr<serving::Response> answer) mutable {
                             finish(*parsed, std::move(answer), label, std::move(reply));
                           });
}

// The methods of each service, with handlers that keep a pointer to `context`.
std::vector<Method> MakeTextEncoderMethods(const ServiceContext* context);
std::vector<Method> MakeTeiMethods(const ServiceContext* context);
std::vector<Method> MakeInferenceMethods(const ServiceContext* context);

// A handler that passes `context` on.
inline Handler WithContext(const ServiceContext* context, void (*handler)(const ServiceContext&, Call)) {
  return [context, handler](Call call) { handler(*context, std::move(call)); };
}

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_SERVICE_CALLS_H_
