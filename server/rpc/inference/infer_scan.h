// A ModelInferRequest in its wire form, before it is parsed: 2 MiB of empty texts would be 80 MB of message. Counts
// fields at every level, texts and numbers; what they are is the codec's business. See server/rpc/wire_scan.h.
// Thread-safe.
#ifndef OCTET_SERVER_RPC_INFERENCE_INFER_SCAN_H_
#define OCTET_SERVER_RPC_INFERENCE_INFER_SCAN_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/rpc/parsed_request.h"

namespace octet::rpc {

// InvalidArgument, with a reason:
//   "request: not a valid ModelInferRequest"            not well formed, strings that are not UTF-8, or more than
//                                                       kMaxOtherFields fields beside texts
//   "inputs: 300 texts, limit 256"                      of both text tensors together
//   "inputs[0]: 200000 numbers, limit 65536"            in `shape` or a field of `contents`
absl::Status ScanInferRequest(absl::string_view bytes, const RequestLimits& limits);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_INFER_SCAN_H_
