// The version of the oneDNN library that is loaded, "3.2.0".
#ifndef OCTET_KERNELS_ONEDNN_VERSION_H_
#define OCTET_KERNELS_ONEDNN_VERSION_H_

#include <string>

namespace octet::kernels {

std::string OneDnnVersion();

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_ONEDNN_VERSION_H_
