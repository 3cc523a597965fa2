/* Every error code has a name and a text, and nothing that is none has one. */
#include "abi/error_text.h"
#include "base/test.h"

TEST(well_known_codes)
{
	CHECK_STR(abi_error_name(CUDA_SUCCESS), "CUDA_SUCCESS");
	CHECK_STR(abi_error_text(CUDA_SUCCESS), "no error");
	CHECK_STR(abi_error_name(CUDA_ERROR_OUT_OF_MEMORY), "CUDA_ERROR_OUT_OF_MEMORY");
	CHECK_STR(abi_error_text(CUDA_ERROR_OUT_OF_MEMORY), "out of memory");
	CHECK_STR(abi_error_text(CUDA_ERROR_INVALID_VALUE), "invalid argument");
	CHECK_STR(abi_error_name((CUresult)700), "CUDA_ERROR_ILLEGAL_ADDRESS");
	CHECK_STR(abi_error_name((CUresult)999), "CUDA_ERROR_UNKNOWN");
}

TEST(every_code_has_both_and_nothing_else_has_any)
{
	unsigned n = 0;

	for (int code = 0; code < 2000; code++) {
		CHECK(!abi_error_name((CUresult)code) == !abi_error_text((CUresult)code));
		n += !!abi_error_name((CUresult)code);
	}
	CHECK(n >= 95);
	CHECK(!abi_error_name((CUresult)-1));
	CHECK(!abi_error_name((CUresult)11));
}
