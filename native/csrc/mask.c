#include "kernels.h"

const sfl_mask_backend sfl_mask_backends[] = {
#ifdef SFL_X86
    {"vaes", sfl_vaes_usable, sfl_vaes_add_stream, sfl_aesni_add_row_streams},
    {"aesni", sfl_aesni_usable, sfl_aesni_add_stream, sfl_aesni_add_row_streams},
#endif
    {NULL, NULL, NULL, NULL},
};
