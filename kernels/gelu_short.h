// The polynomial of KernelTable::gelu_erf_short_row, for all its implementations. Internal to this folder.
#ifndef OCTET_KERNELS_GELU_SHORT_H_
#define OCTET_KERNELS_GELU_SHORT_H_

namespace octet::kernels {

// 0.5 (1 + erf(x / sqrt 2)) = 0.5 + t P(t^2), t = x within [-4, 4]: P of least absolute error in GELU among those that make it 0
// and 1 at the bounds, and so beyond them; degree 6, highest power first; 1.9e-4. The bound is a power of two and the last places
// of P are such that these are 0 and 1 exactly.
inline constexpr float kShortGeluBound = 4.0f;
inline constexpr float kShortGeluCoefficients[] = {2.25881269e-08f, -1.58882267e-06f, 4.77637914e-05f, -0.00081218651f,
                                                   0.00876368582f,  -0.0645543933f,   0.397870302f};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_GELU_SHORT_H_
