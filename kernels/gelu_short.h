// The polynomial of KernelTable::gelu_erf_short_row, for all its implementations. Internal to this folder.
#ifndef OCTET_KERNELS_GELU_SHORT_H_
#define OCTET_KERNELS_GELU_SHORT_H_

namespace octet::kernels {

// 0.5 (1 + erf(x / sqrt 2)) = 0.5 + x P(x^2) for |x| <= 3.94, and 0 or 1 beyond: P of least absolute error in GELU among
// those that are 0 and 1 there, degree 6, highest power first; 1.7e-4.
inline constexpr float kShortGeluBound = 3.94f;
inline constexpr float kShortGeluCoefficients[] = {2.4892850e-8f, -1.7039068e-6f, 4.9990806e-5f, -0.000833144f,
                                                   0.008861814f,  -0.06476019f,   0.39800572f};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_GELU_SHORT_H_
