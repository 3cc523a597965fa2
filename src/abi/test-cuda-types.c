/* Our declarations of CUDA's types against NVIDIA's header: every value, size and offset. */
#include "abi/test-cuda-facts.h"
#include "base/test.h"

TEST(every_fact_is_nvidias)
{
	CHECK(cuda_facts_ours.n_rows > 1500);
	CHECK_EQ(cuda_facts_ours.n_rows, cuda_facts_theirs.n_rows);
	for (size_t i = 0; i < cuda_facts_ours.n_rows; i++) {
		const struct cuda_fact *ours = &cuda_facts_ours.rows[i];
		const struct cuda_fact *theirs = &cuda_facts_theirs.rows[i];

		CHECK_STR(ours->what, theirs->what);
		if (ours->value != theirs->value)
			test_fail(__FILE__, __LINE__, "%s is %lld, in NVIDIA's header %lld",
			    ours->what, ours->value, theirs->value);
	}
}
